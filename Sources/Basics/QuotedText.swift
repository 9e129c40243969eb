// Part of Inkstone. Licence: see LICENSE.

extension String {
    /// The text in single quotes, for a message: control characters escaped, long text truncated.
    ///
    /// Names come from untrusted files and requests and must not break a log line.
    package var quoted: String {
        let limit = 200
        var text = "'"
        for (count, scalar) in unicodeScalars.enumerated() {
            if count == limit {
                text += "…"
                break
            }
            if scalar.breaksLine {
                text += "\\u{\(String(scalar.value, radix: 16))}"
            } else {
                text.unicodeScalars.append(scalar)
            }
        }
        return text + "'"
    }

    /// The text with a space in place of each control character and line separator.
    package var onOneLine: String {
        var line = String.UnicodeScalarView()
        for scalar in unicodeScalars { line.append(scalar.breaksLine ? " " : scalar) }
        return String(line)
    }
}

extension Unicode.Scalar {
    /// Whether the scalar is a control character or a separator of lines or paragraphs.
    package var breaksLine: Bool {
        value < 0x20 || (0x7F...0x9F).contains(value) || value == 0x2028 || value == 0x2029
    }
}
