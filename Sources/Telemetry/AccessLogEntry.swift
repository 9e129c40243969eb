// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation

/// What the access log says about one request.
///
/// There is no prompt and no query in it: they are the user's.
package struct AccessLogEntry: Sendable {
    /// What a request for images asked for and how long it took.
    package struct Generation: Sendable, Equatable {
        package var model: String
        package var images: Int
        package var steps: Int
        package var width: Int
        package var height: Int
        /// Seconds from asking the engine to its last word.
        package var engineSeconds: Double?
        /// Seconds until work began.
        package var queueSeconds: Double?
        /// Seconds of work.
        package var runSeconds: Double?

        /// A generation that has not begun.
        package init(model: String, images: Int, steps: Int, width: Int, height: Int) {
            self.model = model
            self.images = images
            self.steps = steps
            self.width = width
            self.height = height
        }
    }

    /// Unix seconds when the last byte was sent.
    package var time: Double
    package var remoteAddress: String?
    package var method: String
    package var path: String
    package var status: Int
    /// Bytes of the body.
    package var bytes: Int
    package var referer: String?
    package var userAgent: String?
    /// Seconds from the first byte read to the last byte sent.
    package var requestSeconds: Double
    package var requestID: String
    /// `ok`, or the error's code.
    package var code: String
    package var traceID: String?
    package var generation: Generation?

    /// An entry of all fields.
    package init(
        time: Double, remoteAddress: String?, method: String, path: String, status: Int, bytes: Int,
        referer: String?, userAgent: String?, requestSeconds: Double, requestID: String,
        code: String, traceID: String?, generation: Generation?
    ) {
        self.time = time
        self.remoteAddress = remoteAddress
        self.method = method
        self.path = path
        self.status = status
        self.bytes = bytes
        self.referer = referer
        self.userAgent = userAgent
        self.requestSeconds = requestSeconds
        self.requestID = requestID
        self.code = code
        self.traceID = traceID
        self.generation = generation
    }

    // MARK: - As nginx writes it

    /// nginx's `combined`, then pairs that are always there, `-` where there is nothing to say.
    package var combined: String {
        let made = generation
        let pairs: [(String, String?)] = [
            ("rt", Self.seconds(requestSeconds)),
            ("urt", made?.engineSeconds.map(Self.seconds)),
            ("id", Self.quoted(requestID)),
            ("msec", Self.seconds(time)),
            ("code", code),
            ("q", made?.queueSeconds.map(Self.seconds)),
            ("run", made?.runSeconds.map(Self.seconds)),
            ("n", made.map { "\($0.images)" }),
            ("steps", made.map { "\($0.steps)" }),
            ("size", made.map { "\($0.width)x\($0.height)" }),
            ("model", made.map { Self.quoted($0.model) }),
            ("trace", traceID),
        ]
        let request = "\(Self.quoted(method)) \(Self.quoted(path)) HTTP/1.1"
        let head =
            "\(remoteAddress ?? "-") - - [\(Self.localTime(time))] \"\(request)\" \(status) \(bytes)"
            + " \"\(Self.quoted(referer ?? "-"))\" \"\(Self.quoted(userAgent ?? "-"))\""
        return pairs.reduce(into: head) { $0 += " \($1.0)=\($1.1 ?? "-")" }
    }

    /// Control characters, `"`, `\` and everything that is not ASCII become `\xHH`, as in nginx.
    private static func quoted(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            if (0x20...0x7E).contains(byte), byte != UInt8(ascii: "\""),
                byte != UInt8(ascii: "\\")
            {
                result.unicodeScalars.append(UnicodeScalar(byte))
            } else {
                result += "\\x" + byte.hexadecimal(digits: 2, uppercase: true)
            }
        }
        return result
    }

    /// Three decimals: the resolution of nginx.
    private static func seconds(_ value: Double) -> String {
        let milliseconds = Int64((max(0, value) * 1000).rounded())
        let rest = String(milliseconds % 1000)
        return "\(milliseconds / 1000).\(String(repeating: "0", count: 3 - rest.count))\(rest)"
    }

    /// Such as `10/Oct/2026:13:55:36 +0000`.
    private static func localTime(_ time: Double) -> String {
        let months = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ]
        let parts = UTCTime(time)
        return "\(UTCTime.two(parts.day))/\(months[parts.month - 1])/\(parts.year):\(parts.clock)"
            + " +0000"
    }

    // MARK: - As JSON

    private struct Line: Encodable {
        var time: String
        var msec: Double
        var remoteAddr: String?
        var method: String
        var path: String
        var status: Int
        var bytes: Int
        var referer: String?
        var userAgent: String?
        var requestTime: Double
        var upstreamTime: Double?
        var requestId: String
        var code: String
        var traceId: String?
        var queueTime: Double?
        var runTime: Double?
        var n: Int?
        var steps: Int?
        var size: String?
        var model: String?
    }

    /// The same fields as one line of JSON; what there is nothing to say about is left out.
    package var json: String {
        func rounded(_ value: Double) -> Double { (max(0, value) * 1000).rounded() / 1000 }
        let made = generation
        let line = Line(
            time: UTCTime(time).iso8601, msec: rounded(time), remoteAddr: remoteAddress,
            method: method, path: path, status: status, bytes: bytes, referer: referer,
            userAgent: userAgent, requestTime: rounded(requestSeconds),
            upstreamTime: made?.engineSeconds.map(rounded), requestId: requestID, code: code,
            traceId: traceID, queueTime: made?.queueSeconds.map(rounded),
            runTime: made?.runSeconds.map(rounded), n: made?.images, steps: made?.steps,
            size: made.map { "\($0.width)x\($0.height)" }, model: made?.model)
        return JSONLine.text(line)
    }
}
