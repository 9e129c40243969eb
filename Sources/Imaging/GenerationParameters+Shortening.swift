// Part of Inkstone. Licence: see LICENSE.

extension GenerationParameters {
    private static let shortenedKey = "Shortened"

    /// Returns the text for a file that can hold a limited number of UTF-16 units.
    ///
    /// Of the two prompts the longer one is shortened first; a pair `Shortened` names what was.
    ///
    /// - Returns: ``text`` if it fits, `nil` if the pairs alone do not.
    public func text(upTo units: Int) -> String? {
        let whole = text
        if whole.utf16.count <= units { return whole }
        // The longest prompts that fit: of some, the text holds a second copy.
        var fitting = shortened(to: 0).text
        guard fitting.utf16.count <= units else { return nil }
        var (least, most) = (0, units)
        while least < most {
            let middle = (least + most + 1) / 2
            let short = shortened(to: middle).text
            if short.utf16.count <= units {
                (fitting, least) = (short, middle)
            } else {
                most = middle - 1
            }
        }
        return fitting
    }

    /// Shortens the prompts to a number of UTF-16 units in all.
    private func shortened(to units: Int) -> GenerationParameters {
        let (positive, negative) = (prompt.utf16.count, negativePrompt.utf16.count)
        let forNegative = min(negative, max(units / 2, units - positive))
        var short = self
        short.prompt = Self.beginning(of: prompt, units: units - forNegative)
        short.negativePrompt = Self.beginning(of: negativePrompt, units: forNegative)
        let names = [
            short.prompt == prompt ? nil : "prompt",
            short.negativePrompt == negativePrompt ? nil : "negative prompt",
        ]
        short.extras.append(
            Field(Self.shortenedKey, names.compactMap(\.self).joined(separator: " and ")))
        return short
    }

    /// The beginning of a text that has at most as many UTF-16 units, with an ellipsis, or the whole text.
    private static func beginning(of text: String, units: Int) -> String {
        guard text.utf16.count > units else { return text }
        guard units > 1 else { return "" }
        var result = String.UnicodeScalarView()
        var count = 1
        for scalar in text.unicodeScalars {
            count += UTF16.width(scalar)
            guard count <= units else { break }
            result.append(scalar)
        }
        return String(result) + "…"
    }
}
