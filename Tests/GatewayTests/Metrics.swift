// Part of Inkstone. Licence: see LICENSE.

import Testing

/// What `/metrics` says: values by name and labels, as they are written.
struct Metrics {
    let values: [String: Double]

    init(_ text: String) {
        let pairs = text.split(separator: "\n").filter { !$0.hasPrefix("#") }.compactMap { line in
            line.lastIndex(of: " ").flatMap { space in
                Double(line[line.index(after: space)...]).map { (String(line[..<space]), $0) }
            }
        }
        values = Dictionary(pairs) { first, _ in first }
    }

    /// The value of a sample; 0 where it is not told.
    subscript(key: String) -> Double { values[key] ?? 0 }

    /// The sum over all samples of a name.
    func total(_ name: String) -> Double {
        values.filter { $0.key == name || $0.key.hasPrefix(name + "{") }.map(\.value).reduce(0, +)
    }
}

extension TestClient {
    /// Asks for the metrics.
    func metrics() async throws -> Metrics { Metrics(try await get("/metrics").text) }

    /// Asks for the metrics until they are as expected.
    func metrics(until isRight: (Metrics) -> Bool) async throws -> Metrics {
        while true {
            let metrics = try await metrics()
            if isRight(metrics) { return metrics }
            try await Task.sleep(for: .milliseconds(10))
        }
    }
}
