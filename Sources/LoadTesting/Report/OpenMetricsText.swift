// Part of Inkstone. Licence: see LICENSE.

/// The figures of a run in the text format of OpenMetrics 1.0.
struct OpenMetricsText {
    let summary: RunSummary
    let audit: AuditReport

    /// A metric with its samples.
    private struct Family {
        var name: String
        var type: String
        var help: String
        var unit: String?
        var samples: [(labels: [(String, String)], value: Double)] = []
    }

    /// The exposition, which ends with `# EOF`.
    var text: String {
        var text = ""
        for family in [info] + levels + [requests, checks] where !family.samples.isEmpty {
            text += "# TYPE \(family.name) \(family.type)\n"
            if let unit = family.unit { text += "# UNIT \(family.name) \(unit)\n" }
            text += "# HELP \(family.name) \(family.help)\n"
            let suffix = ["counter": "_total", "info": "_info"][family.type] ?? ""
            for sample in family.samples {
                let labels = sample.labels.map { "\($0.0)=\"\(Self.escaped($0.1))\"" }
                    .joined(separator: ",")
                text +=
                    "\(family.name)\(suffix){\(labels)} \(Figures.significant(sample.value, 9))\n"
            }
        }
        return text + "# EOF\n"
    }

    private var info: Family {
        Family(
            name: "imgbench_run", type: "info", help: "The run.",
            samples: [
                (
                    [
                        ("run", summary.run), ("name", summary.name),
                        ("status", summary.status.rawValue), ("audit", summary.audit.rawValue),
                        ("dialect", summary.target.dialect.rawValue),
                        ("model", summary.target.model ?? ""), ("version", summary.program.version),
                    ], 1
                )
            ])
    }

    private func labels(_ level: RunSummary.Level) -> [(String, String)] {
        [("run", summary.run), ("level", level.level), ("visit", String(level.visit))]
            + (level.users.map { [("users", String($0))] } ?? [])
    }

    /// A family with a sample for each bound of an estimate.
    private func family(
        _ name: String, _ help: String, unit: String? = nil,
        _ value: (LevelFigures) -> [(String, Double?)]
    ) -> Family {
        var family = Family(name: name, type: "gauge", help: help, unit: unit)
        for level in summary.levels {
            guard let figures = level.figures else { continue }
            for (statistic, number) in value(figures) {
                guard let number else { continue }
                family.samples.append((labels(level) + [("statistic", statistic)], number))
            }
        }
        return family
    }

    private static func bounds(_ estimate: Estimate?) -> [(String, Double?)] {
        [("value", estimate?.value), ("low95", estimate?.low), ("high95", estimate?.high)]
    }

    private static func seconds(_ times: LatencyFigures) -> [(String, Double?)] {
        let seconds = { (ms: Double?) in ms.map { $0 / 1000 } }
        return [
            ("mean", seconds(times.mean.value)), ("p50", seconds(times.p50.value)),
            ("p90", seconds(times.p90.value)), ("p95", seconds(times.p95.value)),
            ("p99", seconds(times.p99.value)), ("max", seconds(times.max)),
        ]
    }

    private var levels: [Family] {
        [
            family("imgbench_throughput_images_per_second", "Valid images a second.") {
                Self.bounds($0.throughput)
            },
            family("imgbench_goodput_images_per_second", "Valid images that met every objective.") {
                Self.bounds($0.goodput)
            },
            family("imgbench_end_to_end_seconds", "Time of a valid request.", unit: "seconds") {
                Self.seconds($0.endToEnd)
            },
            family(
                "imgbench_first_preview_seconds", "Time to the first preview.", unit: "seconds"
            ) { Self.seconds($0.firstPreview) },
            family("imgbench_failed_ratio", "Share of failed requests.", unit: "ratio") {
                Self.bounds($0.errorRate)
            },
            family("imgbench_in_flight_requests", "Mean number of open requests.") {
                [("mean", $0.inFlight), ("max", Double($0.inFlightMax))]
            },
        ]
    }

    private var requests: Family {
        var family = Family(
            name: "imgbench_requests", type: "counter", help: "Requests by result.")
        for level in summary.levels {
            guard let counts = level.accounting else { continue }
            for (result, count) in [
                ("valid", counts.valid), ("failed", counts.failed), ("dropped", counts.dropped),
            ] { family.samples.append((labels(level) + [("result", result)], Double(count))) }
        }
        return family
    }

    /// 1 for the verdict that each check has.
    private var checks: Family {
        Family(
            name: "imgbench_audit", type: "stateset", help: "Verdicts of the audit.",
            samples: audit.checks.flatMap { check in
                Verdict.allCases.map { verdict in
                    (
                        [
                            ("run", summary.run), ("check", check.id.rawValue),
                            ("imgbench_audit", verdict.rawValue),
                        ], check.verdict == verdict ? 1 : 0
                    )
                }
            })
    }

    /// Escapes the value of a label.
    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            .replacing("\n", with: "\\n")
    }
}
