// Part of Inkstone. Licence: see LICENSE.

/// The metrics of one moment, parsed from Prometheus text.
package struct MetricsSnapshot: Sendable, Equatable {
    /// The value of a metric under its labels.
    package struct Sample: Sendable, Equatable {
        package var name: String
        package var labels: [String: String]
        package var value: Double
    }

    package let samples: [Sample]

    /// Parses the text; comments and malformed lines are skipped.
    package init(text: String) {
        samples = text.split(whereSeparator: \.isNewline).compactMap { Self.sample($0) }
    }

    /// The sum over the samples of a metric that have these labels; `nil` without any.
    package func sum(_ name: String, where labels: [String: String] = [:]) -> Double? {
        let fitting = samples.filter { sample in
            sample.name == name && labels.allSatisfy { sample.labels[$0.key] == $0.value }
        }
        return fitting.isEmpty ? nil : fitting.reduce(0) { $0 + $1.value }
    }

    /// The values of a label among the samples of a metric.
    package func values(of label: String, in name: String) -> Set<String> {
        Set(samples.filter { $0.name == name }.compactMap { $0.labels[label] })
    }

    /// The labels of each sample of a metric.
    package func labels(of name: String) -> [[String: String]] {
        samples.filter { $0.name == name }.map(\.labels)
    }

    private static func sample(_ line: Substring) -> Sample? {
        guard let first = line.first, first != "#" else { return nil }
        var rest = line
        let name = rest.prefix { $0 != "{" && $0 != " " }
        rest = rest.dropFirst(name.count)
        var labels: [String: String] = [:]
        if rest.first == "{" {
            rest = rest.dropFirst()
            while let first = rest.first, first != "}" {
                let label = rest.prefix { $0 != "=" }
                rest = rest.dropFirst(label.count + 1)
                guard rest.first == "\"" else { return nil }
                rest = rest.dropFirst()
                var value = ""
                while let next = rest.popFirst(), next != "\"" {
                    // Escapes are \\, \" and \n.
                    guard next == "\\" else {
                        value.append(next)
                        continue
                    }
                    let escaped = rest.popFirst() ?? "\\"
                    value.append(escaped == "n" ? "\n" : escaped)
                }
                labels[String(label)] = value
                if rest.first == "," { rest = rest.dropFirst() }
            }
            rest = rest.dropFirst()
        }
        guard let number = rest.split(separator: " ").first, let value = Double(number) else {
            return nil
        }
        return Sample(name: String(name), labels: labels, value: value)
    }
}

/// The increase of counters between two moments without requests in flight.
package struct MetricsDifference: Sendable {
    package let before: MetricsSnapshot
    package let after: MetricsSnapshot

    package init(before: MetricsSnapshot, after: MetricsSnapshot) {
        self.before = before
        self.after = after
    }

    /// The increase of a counter; `nil` when it is missing from the later snapshot.
    ///
    /// A counter that is missing from the earlier snapshot started at 0.
    package func gain(_ name: String, where labels: [String: String] = [:]) -> Double? {
        after.sum(name, where: labels).map { $0 - (before.sum(name, where: labels) ?? 0) }
    }

    /// The increases of `_count` and `_sum` of a histogram.
    package func histogram(
        _ name: String, where labels: [String: String] = [:]
    ) -> (count: Double, sum: Double)? {
        guard let count = gain(name + "_count", where: labels),
            let sum = gain(name + "_sum", where: labels)
        else { return nil }
        return (count, sum)
    }
}
