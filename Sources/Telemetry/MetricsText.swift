// Part of Inkstone. Licence: see LICENSE.

/// The text that Prometheus and its relatives read.
package enum MetricsText {
    /// The two formats.
    package enum Format: Sendable {
        /// Prometheus text 0.0.4.
        case prometheus
        /// OpenMetrics 1.0.0.
        case openMetrics

        /// The format that an `Accept` header asks for.
        package init(accept: String?) {
            let asked = accept?.lowercased().split(separator: ",").contains { kind in
                kind.contains("application/openmetrics-text")
                    && kind.firstMatch(of: /;\s*q=0(\.0*)?\s*(;|$)/) == nil
            }
            self = asked == true ? .openMetrics : .prometheus
        }

        /// The `Content-Type`.
        package var contentType: String {
            switch self {
            case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
            case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
            }
        }
    }

    /// Writes all families.
    package static func render(_ families: [MetricFamily], as format: Format) -> String {
        var text = ""
        for family in families {
            var title = family.name
            // In OpenMetrics the samples of a counter have the ending, the family has not.
            if format == .openMetrics, family.kind == .counter, title.hasSuffix("_total") {
                title.removeLast("_total".count)
            }
            text += "# HELP \(title) \(escaped(family.help, quotes: format == .openMetrics))\n"
            text += "# TYPE \(title) \(family.kind.rawValue)\n"
            for sample in family.samples {
                text += family.name + sample.suffix
                if !sample.labels.isEmpty {
                    let labels = sample.labels.map { label in
                        "\(label.name)=\"\(escaped(label.value, quotes: true))\""
                    }
                    text += "{\(labels.joined(separator: ","))}"
                }
                text += " \(number(sample.value))\n"
            }
        }
        if format == .openMetrics { text += "# EOF\n" }
        return text
    }

    /// A number as both formats spell it.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return "\(value)"
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
