// Part of Inkstone. Licence: see LICENSE.

/// Text of HTML and SVG, one element at a time.
struct Markup {
    private(set) var text = ""

    /// Adds markup as it is.
    mutating func raw(_ markup: String) { text += markup }

    /// Adds an element with plain text inside.
    mutating func element(_ name: String, _ attributes: String = "", _ content: String) {
        text +=
            "<\(name)\(attributes.isEmpty ? "" : " " + attributes)>\(Self.escaped(content))</\(name)>"
    }

    /// Adds an element around other markup.
    mutating func element(
        _ name: String, _ attributes: String = "", _ content: (inout Markup) -> Void
    ) {
        text += "<\(name)\(attributes.isEmpty ? "" : " " + attributes)>"
        content(&self)
        text += "</\(name)>"
    }

    /// Adds an element that has no inside.
    mutating func empty(_ name: String, _ attributes: String) { text += "<\(name) \(attributes)/>" }

    /// What is safe between tags and in quoted attributes.
    static func escaped(_ text: String) -> String {
        var result = ""
        for character in text.unicodeScalars {
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            // Control characters are not allowed in either.
            case "\t", "\n": result.unicodeScalars.append(character)
            case _ where character.value < 0x20: result += "\u{FFFD}"
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }
}
