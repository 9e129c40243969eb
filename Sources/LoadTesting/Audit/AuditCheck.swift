// Part of Inkstone. Licence: see LICENSE.

/// What a check says.
package enum Verdict: String, Codable, Sendable, Comparable, CaseIterable {
    case notApplicable = "n/a"
    case pass
    case warn
    case fail

    private var rank: Int { Verdict.allCases.firstIndex(of: self) ?? 0 }

    package static func < (left: Verdict, right: Verdict) -> Bool { left.rank < right.rank }
}

/// One thing that a check looked at, with the numbers it used.
package struct AuditFinding: Codable, Sendable, Equatable {
    package var verdict: Verdict
    /// The level's key, absent for the run as a whole.
    package var level: String?
    /// One sentence.
    package var text: String
    /// Every number behind the verdict, limits among them.
    package var numbers: [String: Double]

    /// Keeps only finite numbers.
    package init(
        _ verdict: Verdict, level: String? = nil, _ text: String, numbers: [String: Double] = [:]
    ) {
        self.verdict = verdict
        self.level = level
        self.text = text
        self.numbers = numbers.filter { $0.value.isFinite }
    }
}

/// The name of a check of the audit.
package enum CheckID: String, Codable, Sendable, CaseIterable {
    case a1 = "A1", a2 = "A2", a3 = "A3", a4 = "A4", a5 = "A5", a6 = "A6", a7 = "A7", a8 = "A8"
    case a9 = "A9", a10 = "A10", a11 = "A11", a12 = "A12", a13 = "A13", a14 = "A14", a15 = "A15"
    case a16 = "A16", a17 = "A17", a18 = "A18", a19 = "A19", a20 = "A20"

    /// What it is about, in few words.
    package var title: String {
        switch self {
        case .a1: "Little's law"
        case .a2: "asymptotic bound"
        case .a3: "access log, counts"
        case .a4: "access log, times"
        case .a5: "engine metrics"
        case .a6: "duplicate images"
        case .a7: "determinism"
        case .a8: "cache timing"
        case .a9: "coordinated omission"
        case .a10: "tester health"
        case .a11: "roofline, rate"
        case .a12: "roofline, latency"
        case .a13: "work ledger"
        case .a14: "device time"
        case .a15: "resolution of rates"
        case .a16: "stage law"
        case .a17: "memory inventory"
        case .a18: "clocks"
        case .a19: "wire budget"
        case .a20: "title vs table"
        }
    }
}

/// A check of the audit and what came of it.
package struct AuditCheck: Codable, Sendable, Equatable {
    package var id: CheckID
    package var title: String
    /// The worst of the findings.
    package var verdict: Verdict
    /// Why it does not apply; absent where it does.
    package var reason: String?
    package var findings: [AuditFinding]

    /// A check with findings; without any it does not apply, for this reason.
    package init(_ id: CheckID, _ findings: [AuditFinding], otherwise reason: String) {
        self.id = id
        title = id.title
        verdict = findings.map(\.verdict).max() ?? .notApplicable
        self.reason = verdict == .notApplicable ? findings.first?.text ?? reason : nil
        self.findings = findings
    }
}

/// All checks of a run or a table: `audit.json`.
package struct AuditReport: Codable, Sendable, Equatable {
    package static let currentSchemaVersion = 1

    package var schemaVersion = AuditReport.currentSchemaVersion
    /// The run's name, or the table's file.
    package var subject: String
    package var verdict: Verdict
    package var checks: [AuditCheck]
    /// What a reader would need and does not find; tables only.
    package var missing: [String] = []

    package init(subject: String, checks: [AuditCheck], missing: [String] = []) {
        self.subject = subject
        self.checks = checks
        self.missing = missing
        verdict = checks.map(\.verdict).max() ?? .notApplicable
    }

    /// The check of a name.
    package subscript(id: CheckID) -> AuditCheck? { checks.first { $0.id == id } }

    /// Whether a result may be published.
    package var hasPassed: Bool { verdict != .fail }
}
