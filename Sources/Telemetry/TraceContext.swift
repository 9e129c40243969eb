// Part of Inkstone. Licence: see LICENSE.

import Basics

/// The trace that a request belongs to, and this service's place in it.
///
/// - Source: W3C Trace Context, `traceparent` and `tracestate`.
package struct TraceContext: Sendable, Equatable {
    /// 32 hexadecimal digits that all services on the way share.
    package let traceID: String
    /// 16 hexadecimal digits of the caller's part; `nil` where the trace begins here.
    package let parentID: String?
    /// 16 hexadecimal digits of our own part.
    package let spanID: String
    /// Bit 0 says whether the caller records the trace.
    package let flags: UInt8
    /// What other vendors want handed on, untouched.
    package let state: String?

    /// The trace of a request; `nil` when the client sent no header.
    ///
    /// A header that cannot be read begins a new trace, and its state is left out.
    package init?(traceparent: String?, tracestate: String?) {
        guard let traceparent else { return nil }
        spanID = Self.randomHex(words: 1)
        guard let parts = Self.parts(of: traceparent) else {
            traceID = Self.randomHex(words: 2)
            (parentID, flags, state) = (nil, 0, nil)
            return
        }
        (traceID, parentID, flags) = parts
        state = tracestate.flatMap { text in
            let isBounded =
                text.utf8.count <= 2048 && !text.isEmpty
                && text.split(separator: ",").count <= 32
                && text.utf8.allSatisfy { (0x20...0x7E).contains($0) }
            return isBounded ? text : nil
        }
    }

    /// The header with our own part as the parent, for answers and for calls to others.
    package var traceparent: String {
        "00-\(traceID)-\(spanID)-\(flags.hexadecimal(digits: 2))"
    }

    /// Version 00 has exactly four parts; of later versions the first four are read.
    private static func parts(of text: String) -> (String, String?, UInt8)? {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count >= 4, parts[0].count == 2, parts[0] != "ff",
            parts[0] != "00" || parts.count == 4,
            parts[1].count == 32, parts[2].count == 16, parts[3].count == 2,
            parts.prefix(4).allSatisfy({ $0.utf8.allSatisfy(isHexDigit) }),
            parts[1].contains(where: { $0 != "0" }), parts[2].contains(where: { $0 != "0" }),
            let flags = UInt8(parts[3], radix: 16)
        else { return nil }
        // Of the flags of a later version only the known bit is kept.
        return (String(parts[1]), String(parts[2]), flags & 1)
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }

    private static func randomHex(words: Int) -> String {
        (0..<words).map { _ in
            UInt64.random(in: 1...UInt64.max).hexadecimal(digits: 16)
        }.joined()
    }
}
