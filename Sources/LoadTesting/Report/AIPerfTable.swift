// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// The figures of a level with the columns of AIPerf's `profile_export_aiperf.csv`: a section of metrics with
/// their distribution, then one of single values.
///
/// - Source: `MetricsCsvExporter` and `STAT_KEYS` of ai-dynamo/aiperf.
struct AIPerfTable {
    /// The statistics of a metric of requests, in the order of AIPerf.
    static let statistics = [
        "avg", "min", "max", "sum", "p1", "p5", "p10", "p25", "p50", "p75", "p90", "p95", "p99",
        "std",
    ]

    let level: LevelEvidence
    let figures: LevelFigures

    /// The file; lines end with CR LF, as those of AIPerf.
    var csv: String {
        let window = figures.window
        let valid = level.load.filter { $0.isValid && window.contains($0.times.send) }
        var rows = [["Metric"] + Self.statistics]
        let metrics: [(String, [Double])] = [
            ("Request Latency (ms)", valid.compactMap(\.endToEndMs)),
            ("Time to First Preview (ms)", valid.compactMap(\.firstPreviewMs)),
        ]
        for (name, values) in metrics where !values.isEmpty {
            rows.append([name] + Self.row(values))
        }
        rows.append([])
        rows.append(["Metric", "Value"])
        for (name, value) in single { rows.append([name, value]) }
        return rows.map { $0.joined(separator: ",") + "\r\n" }.joined()
    }

    /// The metrics with one value, sorted by name.
    private var single: [(String, String)] {
        let counts = level.result?.accounting
        var values: [(String, String)] = [
            ("Benchmark Duration (sec)", Self.number(figures.window.seconds)),
            ("Error Request Count", "\(counts?.failed ?? 0)"),
            ("Request Count", "\(counts?.valid ?? figures.endToEnd.n)"),
            ("Request Throughput (requests/sec)", Self.number(figures.throughput.value)),
        ]
        if let goodput = figures.goodput?.value {
            values.append(("Goodput (requests/sec)", Self.number(goodput)))
        }
        return values.sorted { $0.0 < $1.0 }
    }

    private static func row(_ values: [Double]) -> [String] {
        let sorted = values.sorted()
        return statistics.map { name in
            switch name {
            case "avg": number(SampleStatistics.mean(values))
            case "min": number(sorted.first)
            case "max": number(sorted.last)
            case "sum": number(values.reduce(0, +))
            case "std": number(SampleStatistics.variance(values).squareRoot())
            default:
                number(
                    Double(name.dropFirst()).flatMap {
                        Percentile.value($0 / 100, ofSorted: sorted)
                    })
            }
        }
    }

    private static func number(_ value: Double?) -> String {
        value.map { Figures.decimals($0, 2) } ?? ""
    }
}
