// Part of Inkstone. Licence: see LICENSE.

package import Foundation

/// Reads the state of the server beside its responses: readiness, metrics and the access log.
package struct ServerSide: Sendable {
    let http: LoadClient
    let target: Scenario.Target

    package init(http: LoadClient, target: Scenario.Target) {
        self.http = http
        self.target = target
    }

    /// Waits until the server reports that it is ready.
    ///
    /// - Returns: whether it did within `seconds`; a server without a readiness path counts as ready
    ///   if the scenario does not name one.
    package func waitUntilReady(seconds: Double, interrupt: Interrupt) async -> Bool {
        let end = http.clock.now + Int64(seconds * 1e9)
        while !interrupt.isSet {
            let exchange = await http.perform(
                HTTPCall(method: .get, path: target.ready ?? "/readyz", id: "imgbench-ready"))
            if exchange.status == 200 { return true }
            // A server without the path is ready; a proxy without its upstream server is not.
            if target.ready == nil, let status = exchange.status, !(502...504).contains(status) {
                return true
            }
            guard http.clock.now < end else { return false }
            try? await Task.sleep(for: .milliseconds(250))
        }
        return false
    }

    /// Reads the metrics as text; `nil` without metrics.
    package func metrics() async -> String? {
        guard let path = target.metrics else { return nil }
        return await http.text(path)
    }

    /// Waits until the server's own gauge reports no request in flight, and returns the metrics of
    /// that moment.
    ///
    /// - Returns: the text, and whether the gauge was present and 0.
    package func quietMetrics(seconds: Double = 10) async -> (text: String?, isQuiet: Bool) {
        let end = http.clock.now + Int64(seconds * 1e9)
        var latest: String?
        while true {
            latest = await metrics()
            guard let text = latest else { return (nil, false) }
            guard let gauge = MetricsSnapshot(text: text).sum("inkstone_requests_in_flight") else {
                return (text, false)
            }
            if gauge == 0 { return (text, true) }
            guard http.clock.now < end else { return (text, false) }
            try? await Task.sleep(for: .milliseconds(50))
        }
    }

    // MARK: The access log

    /// The current size of the access log in bytes; `nil` without one.
    package func logOffset() -> UInt64? {
        guard let path = target.accessLog,
            let size = try? FileManager.default.attributesOfItem(atPath: path)[.size] as? UInt64
        else { return nil }
        return size
    }

    /// Reads the lines since `offset`, waiting for the line of `lastID`.
    ///
    /// Servers write a line after the last byte of the response was sent.
    package func logLines(since offset: UInt64, lastID: String?) async -> Data? {
        guard let path = target.accessLog else { return nil }
        for round in 0..<20 {
            guard let handle = try? FileHandle(forReadingFrom: URL(filePath: path)),
                (try? handle.seek(toOffset: offset)) != nil
            else { return nil }
            let data = (try? handle.readToEnd()) ?? Data()
            try? handle.close()
            let isThere = lastID.map { data.range(of: Data($0.utf8)) != nil } ?? true
            if isThere || round == 19 { return data }
            try? await Task.sleep(for: .milliseconds(100))
        }
        return nil
    }
}
