// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// A line of a server's access log: nginx's `combined` format followed by `name=value` pairs, or
/// a JSON object with the same fields.
///
/// `rt` (seconds from the first byte read to the last byte sent) and `id` (the request's
/// `X-Request-Id`) are what the audit needs; nginx writes them with
/// `rt=$request_time id=$http_x_request_id msec=$msec` in its `log_format`.
package struct AccessLogLine: Sendable, Equatable {
    package var id: String
    package var method: String
    /// Without the query.
    package var path: String
    package var status: Int
    /// Bytes of the body.
    package var bytes: Int
    package var requestSeconds: Double
    /// Unix seconds at which the line was written.
    package var time: Double?
    /// The error code of `inkstone serve`; absent in logs of other servers.
    package var code: String?

    /// Parses a line; `nil` when it is malformed or has no id or no time.
    package init?(_ line: some StringProtocol) {
        let text = String(line)
        if text.first == "{" { self.init(json: text) } else { self.init(combined: text) }
    }

    private init?(combined text: String) {
        // Quotes inside fields are escaped by every server, so fields end at the next quote.
        let parts = text.split(separator: "\"", omittingEmptySubsequences: false)
        guard parts.count >= 7 else { return nil }
        let request = parts[1].split(separator: " ")
        let numbers = parts[2].split(separator: " ")
        guard request.count >= 2, numbers.count >= 2, let status = Int(numbers[0]) else {
            return nil
        }
        var pairs: [Substring: Substring] = [:]
        for pair in parts[6...].joined(separator: "\"").split(separator: " ") {
            guard let equal = pair.firstIndex(of: "=") else { continue }
            pairs[Substring(pair[..<equal])] = Substring(pair[pair.index(after: equal)...])
        }
        guard let id = pairs["id"], id != "-", let seconds = pairs["rt"].flatMap({ Double($0) })
        else { return nil }
        self.id = String(id)
        method = String(request[0])
        path = String(request[1].prefix { $0 != "?" })
        self.status = status
        bytes = Int(numbers[1]) ?? 0
        requestSeconds = seconds
        time = pairs["msec"].flatMap { Double($0) }
        code = pairs["code"].map(String.init)
    }

    private struct Object: Decodable {
        var requestId: String
        var method: String
        var path: String
        var status: Int
        var bytes: Int
        var requestTime: Double
        var msec: Double?
        var code: String?
    }

    private init?(json text: String) {
        guard let object = try? RecordCoding.decode(Object.self, from: Data(text.utf8)) else {
            return nil
        }
        id = object.requestId
        method = object.method
        path = String(object.path.prefix { $0 != "?" })
        status = object.status
        bytes = object.bytes
        requestSeconds = object.requestTime
        time = object.msec
        code = object.code
    }
}
