// Part of Inkstone. Licence: see LICENSE.

/// Test cases in the XML that continuous integration reads.
package struct JUnitReport {
    /// A test case.
    package struct Case {
        /// What is tested, for instance a level.
        package var group: String
        /// The test.
        package var name: String
        /// Why it failed; `nil` if it passed.
        package var failure: String?
        /// Why it did not run; `nil` if it did.
        package var skipped: String?

        package init(group: String, name: String, failure: String? = nil, skipped: String? = nil) {
            self.group = group
            self.name = name
            self.failure = failure
            self.skipped = skipped
        }
    }

    /// Name of the suite.
    package var name: String
    /// The cases, in order.
    package var cases: [Case]

    package init(name: String, cases: [Case]) {
        self.name = name
        self.cases = cases
    }

    /// The checks of the audit and the objectives of a run.
    init(_ summary: RunSummary, _ audit: AuditReport) {
        name = "imgbench \(summary.run)"
        cases = audit.checks.map { check in
            let failures = check.findings.filter { $0.verdict == .fail }.map { finding in
                (finding.level.map { $0 + ": " } ?? "") + finding.text
            }
            return Case(
                group: "audit", name: "\(check.id.rawValue) \(check.title)",
                failure: check.verdict == .fail ? failures.joined(separator: "\n") : nil,
                skipped: check.verdict == .notApplicable ? check.reason ?? "not applicable" : nil)
        }
        cases += summary.objectives.map { objective in
            let value = objective.value.map { Figures.significant($0, 4) } ?? "too few samples"
            return Case(
                group: objective.level, name: objective.objective,
                failure: objective.isMet
                    ? nil : "\(value), expected at most \(Figures.significant(objective.limit, 4))")
        }
    }

    /// The document.
    package var xml: String {
        var out = Markup()
        out.raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")
        let failures = cases.count { $0.failure != nil }
        let skipped = cases.count { $0.failure == nil && $0.skipped != nil }
        let counts =
            "tests=\"\(cases.count)\" failures=\"\(failures)\" skipped=\"\(skipped)\" errors=\"0\""
        out.element("testsuites", counts) { out in
            out.raw("\n")
            out.element("testsuite", "name=\"\(Markup.escaped(name))\" \(counts)") { out in
                out.raw("\n")
                for item in cases {
                    let names =
                        "classname=\"\(Markup.escaped(item.group))\" name=\"\(Markup.escaped(item.name))\""
                    out.element("testcase", names) { out in
                        if let failure = item.failure {
                            let first = failure.split(separator: "\n").first ?? ""
                            out.element(
                                "failure", "message=\"\(Markup.escaped(String(first)))\"", failure)
                        } else if let skipped = item.skipped {
                            out.empty("skipped", "message=\"\(Markup.escaped(skipped))\"")
                        }
                    }
                    out.raw("\n")
                }
            }
            out.raw("\n")
        }
        return out.text + "\n"
    }
}
