// Part of Inkstone. Licence: see LICENSE.

import Testing

/// The answer of `/metrics`: values by name and labels, as written.
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

    /// The value of a sample; 0 if it is absent.
    subscript(key: String) -> Double { values[key] ?? 0 }

    /// The sum over all samples of a name.
    func total(_ name: String) -> Double {
        values.filter { $0.key == name || $0.key.hasPrefix(name + "{") }.map(\.value).reduce(0, +)
    }
}

extension TestClient {
    /// Reads the metrics.
    func metrics() async throws -> Metrics { Metrics(try await get("/metrics").text) }

    /// Reads the metrics until they are as expected.
    func metrics(until isRight: (Metrics) -> Bool) async throws -> Metrics {
        while true {
            let metrics = try await metrics()
            if isRight(metrics) { return metrics }
            try await Task.sleep(for: .milliseconds(10))
        }
    }
}
