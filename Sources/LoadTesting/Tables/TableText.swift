// Part of Inkstone. Licence: see LICENSE.

/// Text of a page without its markup.
enum TableText {
    /// Removes emphasis, code marks and links, and converts full-width characters to ASCII.
    static func plain(_ text: some StringProtocol) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0xFF01...0xFF5E:
                Unicode.Scalar(scalar.value - 0xFEE0).map { result.unicodeScalars.append($0) }
            case 0x3000, 0xA0, 0x2009, 0x202F, 0x2007, 0x9: result.append(" ")
            case 0x200B, 0xFEFF, 0x2060: continue
            default: result.unicodeScalars.append(scalar)
            }
        }
        result = result.replacing(/!?\[([^\]]*)\]\([^)]*\)/) { String($0.output.1) }
        return result.filter { $0 != "*" && $0 != "`" }
            .split(separator: " ").joined(separator: " ")
    }

    /// Lower case, with spaces for underscores, at humps and where the script changes.
    static func separated(_ text: String) -> String {
        var result = ""
        var previous: Character?
        for character in text {
            if character == "_" {
                result.append(" ")
            } else {
                if let previous, isBoundary(previous, character) { result.append(" ") }
                result.append(contentsOf: character.lowercased())
            }
            previous = character
        }
        return result
    }

    private static func isBoundary(_ left: Character, _ right: Character) -> Bool {
        if left.isLowercase, right.isUppercase { return true }
        let isWord = { (character: Character) in character.isLetter || character.isNumber }
        return isWord(left) && isWord(right) && left.isASCII != right.isASCII
    }

    /// The text of HTML: without tags, scripts and styles, with entities decoded.
    static func withoutTags(_ text: some StringProtocol) -> String {
        var result = String(text)
            .replacing(/(?is)<(script|style)\b.*?<\/\1\s*>/, with: " ")
            .replacing(/(?s)<!--.*?-->/, with: " ")
            .replacing(/(?i)<(?:\/?(?:p|div|h[1-6]|li|tr|table|caption)|br)\b[^>]*>/, with: "\n")
            .replacing(/<\/?[A-Za-z][^>]*>/, with: "")
        let entities = [
            "&nbsp;": " ", "&lt;": "<", "&gt;": ">", "&quot;": "\"", "&#39;": "'", "&apos;": "'",
            "&plusmn;": "±", "&le;": "≤", "&asymp;": "≈", "&ndash;": "–", "&mdash;": "—",
            "&micro;": "µ", "&times;": "×", "&thinsp;": " ",
        ]
        for (entity, text) in entities { result = result.replacing(entity, with: text) }
        result = result.replacing(/&#(\d{1,7});/) { match in
            UInt32(match.output.1).flatMap(Unicode.Scalar.init).map(String.init) ?? ""
        }
        return result.replacing("&amp;", with: "&")
    }
}
