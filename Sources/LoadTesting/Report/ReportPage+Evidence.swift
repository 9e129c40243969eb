// Part of Inkstone. Licence: see LICENSE.

extension ReportPage {
    /// The sections of sweeps of sizes, steps and precisions.
    func sweeps(_ out: inout Markup) {
        if let sizes {
            out.element("h2", "", "Size")
            out.element("p", "class=\"note\"", sizes.text)
        }
        guard let quality else { return }
        out.element("h2", "", "Quality against the reference")
        out.element("p", "class=\"note\"", quality.caution)
        out.element("div", "class=\"scroll\"") { out in
            out.element("table") { out in
                out.element("tr") { out in
                    for (index, title) in quality.allTitles.enumerated() {
                        out.element("th", index == 0 ? "" : "class=\"num\"", title)
                    }
                }
                for row in quality.rows {
                    out.element("tr") { out in
                        for (index, cell) in row.enumerated() {
                            out.element("td", index == 0 ? "" : "class=\"num\"", cell)
                        }
                    }
                }
            }
        }
        stepSheet(&out)
    }

    /// The images of some prompts, a column for each level of the sweep.
    func stepSheet(_ out: inout Markup) {
        guard let steps else { return }
        out.element("div", "class=\"scroll\"") { out in
            out.element("table") { out in
                out.element("tr") { out in
                    for title in ["prompt"] + steps.levels { out.element("th", "", title) }
                }
                for row in steps.rows {
                    out.element("tr") { out in
                        out.element("td", "", row.prompt)
                        for source in row.images {
                            out.element("td") { out in
                                guard let source else { return }
                                out.raw("<img loading=\"lazy\" alt=\"\" src=\"\(source)\">")
                            }
                        }
                    }
                }
            }
        }
    }

    /// The failed requests by class and level.
    func errors(_ out: inout Markup) {
        out.element("h2", "", "Errors")
        let levels = evidence.levels.filter { $0.figures != nil }
        let classes = Set(levels.flatMap { $0.figures?.errors.keys.map(\.self) ?? [] }).sorted()
        guard !classes.isEmpty else {
            let count = levels.reduce(0) { $0 + ($1.figures?.errorRate.n ?? 0) }
            out.element(
                "p", "class=\"note\"",
                "None among \(Figures.grouped(Double(count))) requests. A 200 is not success: every image was "
                    + "decoded, measured and compared with all others.")
            return
        }
        out.element("div", "class=\"scroll\"") { out in
            out.element("table") { out in
                out.element("tr") { out in
                    out.element("th", "", "class")
                    for level in levels { out.element("th", "class=\"num\"", level.key) }
                    out.element("th", "", "for instance")
                }
                for name in classes {
                    out.element("tr") { out in
                        out.element("td", "", name)
                        for level in levels {
                            out.element(
                                "td", "class=\"num\"",
                                (level.figures?.errors[name]).map { "\($0)" } ?? "-")
                        }
                        let example = levels.lazy.flatMap(\.load).first {
                            $0.error?.rawValue == name
                        }
                        out.element("td", "", example?.errorDetail ?? example?.id ?? "-")
                    }
                }
            }
        }
    }

    /// The checks with their findings.
    func checks(_ out: inout Markup) {
        out.element("h2", "", "Audit")
        out.element("div", "class=\"scroll\"") { out in
            out.element("table") { out in
                out.raw("<tr><th>check</th><th></th><th>verdict</th><th>numbers</th></tr>")
                for check in audit.checks {
                    out.element("tr") { out in
                        out.element("td", "", check.id.rawValue)
                        out.element("td", "", check.title)
                        out.element("td") { Self.tag(check.verdict, &$0) }
                        out.element("td") { out in findings(check, &out) }
                    }
                }
            }
        }
    }

    private func findings(_ check: AuditCheck, _ out: inout Markup) {
        if let reason = check.reason, check.findings.isEmpty {
            out.element("div", "class=\"finding\"", reason)
        }
        // The worst first; the rest of long lists is collapsed.
        let sorted = check.findings.enumerated().sorted {
            ($1.element.verdict, $0.offset) < ($0.element.verdict, $1.offset)
        }.map(\.element)
        func show(_ findings: ArraySlice<AuditFinding>, _ out: inout Markup) {
            for finding in findings {
                out.element("div", "class=\"finding\"") { out in
                    if let level = finding.level { out.element("code", "", level) }
                    out.raw(Markup.escaped(finding.text))
                    if finding.verdict != check.verdict {
                        out.raw(" ")
                        Self.tag(finding.verdict, &out)
                    }
                }
            }
        }
        show(sorted.prefix(3), &out)
        guard sorted.count > 3 else { return }
        out.element("details") { out in
            out.element("summary", "", "\(sorted.count - 3) more")
            show(sorted.dropFirst(3), &out)
        }
    }

    /// The images; duplicates of other requests are outlined.
    func sheet(_ out: inout Markup) {
        guard !images.isEmpty else { return }
        out.element("h2", "", "Images")
        out.element("div", "class=\"sheet\"") { out in
            for image in images {
                out.element(
                    "figure",
                    image.isDuplicate ? "class=\"dup\"" : image.isFaulty ? "class=\"bad\"" : ""
                ) {
                    $0.raw("<img loading=\"lazy\" alt=\"\" src=\"\(image.source)\">")
                    $0.element("figcaption", "", image.caption)
                }
            }
        }
        let duplicates = images.count { $0.isDuplicate }
        out.element(
            "p", "class=\"note\"",
            duplicates > 0
                ? "\(duplicates) outlined images have the pixels of another request."
                : "A sample by the run's seed. No two images of the run are equal.")
    }

    /// Everything that is needed to repeat the run.
    func provenance(_ out: inout Markup) {
        let manifest = evidence.manifest
        let (host, target) = (manifest.host, manifest.target)
        out.element("h2", "", "Provenance")
        out.element(
            "p", "class=\"note\"", LevelTable(evidence, audit: audit).provenance)
        var pairs: [(String, String)] = [
            ("run", manifest.run), ("status", manifest.status.rawValue),
            ("command", manifest.arguments.joined(separator: " ")),
            (
                "imgbench",
                "\(manifest.program.version), commit \(manifest.program.commit ?? "unknown")"
            ),
            (
                "host",
                "\(host.name), \(host.kernel), \(host.processor), \(host.logicalProcessors) processors, "
                    + "\(Figures.grouped(host.memory)) MiB"
            ),
            (
                "target",
                "\(target.url), \(target.dialect.rawValue), \(target.server ?? "unknown server")"
            ),
            ("model", "\(target.model ?? "unknown"), \(target.precision ?? "unknown precision")"),
            ("device", "\(target.devices) x \(target.device ?? "unknown")"),
            ("scenario SHA-256", manifest.scenarioDigest), ("plan SHA-256", manifest.planDigest),
            ("seed", "\(manifest.seed)"),
        ]
        if let peak = target.peakOperations {
            pairs.append(("peak of a device", "\(Figures.significant(peak / 1e9, 4)) GFLOP/s"))
        }
        if !target.declaredCaches.isEmpty {
            pairs.append(
                (
                    "declared caches",
                    target.declaredCaches.sorted { $0.key < $1.key }
                        .map { "\($0.key) keeps \($0.value)" }.joined(separator: ", ")
                ))
        }
        for level in evidence.levels {
            guard let accounting = level.result?.accounting else { continue }
            pairs.append(
                (
                    level.key,
                    "planned \(accounting.planned) = sent \(accounting.sent) + dropped \(accounting.dropped); "
                        + "sent = valid \(accounting.valid) + failed \(accounting.failed) + in flight at the cut "
                        + "\(accounting.inFlightAtCut)\(accounting.isBalanced ? "" : " — DOES NOT ADD UP")"
                ))
        }
        out.element("dl") { out in
            for (name, value) in pairs {
                out.element("dt", "", name)
                out.element("dd", "", value)
            }
        }
    }
}
