// Part of Inkstone. Licence: see LICENSE.

/// A writer of HTML and SVG.
struct Markup {
    private(set) var text = ""

    /// Appends markup unchanged.
    mutating func raw(_ markup: String) { text += markup }

    /// Appends an element that contains text.
    mutating func element(_ name: String, _ attributes: String = "", _ content: String) {
        text +=
            "<\(name)\(attributes.isEmpty ? "" : " " + attributes)>\(Self.escaped(content))</\(name)>"
    }

    /// Appends an element that contains markup.
    mutating func element(
        _ name: String, _ attributes: String = "", _ content: (inout Markup) -> Void
    ) {
        text += "<\(name)\(attributes.isEmpty ? "" : " " + attributes)>"
        content(&self)
        text += "</\(name)>"
    }

    /// Appends an empty element.
    mutating func empty(_ name: String, _ attributes: String) { text += "<\(name) \(attributes)/>" }

    /// Escapes text for use between tags and in quoted attributes.
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
