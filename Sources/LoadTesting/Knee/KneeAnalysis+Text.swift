// Part of Inkstone. Licence: see LICENSE.

extension KneeAnalysis {
    /// The results of all methods as text for a terminal.
    public var text: String {
        var text = verdict + "\n\n"
        for answer in answers {
            let name = answer.method.title
            let users = answer.users.map { Figures.significant($0, 3) } ?? "-"
            text +=
                name + String(repeating: " ", count: max(1, 27 - name.count))
                + String(repeating: " ", count: max(0, 6 - users.count)) + users
                + "   \(answer.note)\n"
                + String(repeating: " ", count: 36) + "may be wrong: \(answer.method.caveat)\n"
        }
        if !shares.isEmpty {
            let words = shares.map { "\($0.users): \(Figures.decimals(100 * $0.share, 0)) %" }
            text += "\nof 1000 resamples of the slices: \(words.joined(separator: ", "))\n"
        }
        return text
    }
}
