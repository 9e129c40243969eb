// Part of Inkstone. Licence: see LICENSE.

/// Names of requests: the client's own where it is fit for a log, else a new one.
package enum RequestID {
    /// Characters of the longest name that is taken.
    package static let maximumLength = 128

    /// A client's name for its request: visible ASCII without `"` and `\`, not too long.
    package static func accepted(_ name: String) -> String? {
        let isHarmless = name.utf8.allSatisfy { byte in
            (0x21...0x7E).contains(byte) && byte != UInt8(ascii: "\"")
                && byte != UInt8(ascii: "\\")
        }
        return isHarmless && (1...maximumLength).contains(name.utf8.count) ? name : nil
    }

    /// A new name.
    package static func make() -> String {
        "req-" + String(UInt64.random(in: 1 << 60...UInt64.max), radix: 16)
    }
}
