// Part of Inkstone. Licence: see LICENSE.

extension String {
    /// Whether the text can name a file or folder on every system and in every URL.
    ///
    /// That is 1 to `limit` ASCII letters, digits, `.`, `_` and `-`, of which the first is not one of
    /// `excluded`.
    package func isPlainName(atMost limit: Int, notBeginningWith excluded: String) -> Bool {
        guard let first = unicodeScalars.first, !excluded.unicodeScalars.contains(first) else {
            return false
        }
        return utf8.count <= limit
            && utf8.allSatisfy {
                switch $0 {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
                    UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }
}
