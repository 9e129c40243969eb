// Part of Inkstone. Licence: see LICENSE.

/// A prompt with `{keyword}` slots.
package struct PromptTemplate: Sendable {
    private enum Part {
        case text(String)
        case slot(Int)
    }

    private var parts: [Part] = []
    /// The lists of the slots, in the order of the prompt.
    private var lists: [[String]] = []
    private let seed: UInt64

    /// Parses a template.
    ///
    /// - Parameters:
    ///   - text: the template; `{{` is a literal brace.
    ///   - keywords: the words of each slot.
    ///   - seed: seed of the order in which words are drawn.
    /// - Throws: `ScenarioError` that names a slot without words or an unmatched brace.
    package init(
        _ text: String, keywords: [String: [String]], seed: UInt64 = 0
    ) throws(ScenarioError) {
        self.seed = seed
        var literal = ""
        var rest = text[...]
        while let character = rest.first {
            rest = rest.dropFirst()
            if character == "{", rest.first == "{" {
                rest = rest.dropFirst()
                literal.append("{")
            } else if character == "}", rest.first == "}" {
                rest = rest.dropFirst()
                literal.append("}")
            } else if character == "{" {
                guard let close = rest.firstIndex(of: "}") else {
                    throw ScenarioError(
                        "request.prompt has '{' without '}'; write '{{' for a literal brace.")
                }
                let name = String(rest[..<close])
                guard let words = keywords[name], !words.isEmpty else {
                    throw ScenarioError(
                        "request.prompt has {\(name)} but request.keywords has no '\(name)'.")
                }
                parts.append(.text(literal))
                parts.append(.slot(lists.count))
                literal = ""
                lists.append(words)
                rest = rest[rest.index(after: close)...]
            } else {
                literal.append(character)
            }
        }
        parts.append(.text(literal))
    }

    /// The prompt of a level's request.
    ///
    /// Each slot draws without replacement until its list is exhausted, then again in a new order,
    /// so that prompts differ as much as possible.
    ///
    /// - Parameters:
    ///   - sequence: the request's position.
    ///   - salt: a number that differs between levels.
    /// - Returns: the prompt.
    package func prompt(_ sequence: Int, salt: UInt64) -> String {
        parts.reduce(into: "") { prompt, part in
            switch part {
            case .text(let text): prompt += text
            case .slot(let slot): prompt += word(slot, sequence, salt)
            }
        }
    }

    private func word(_ slot: Int, _ sequence: Int, _ salt: UInt64) -> String {
        let words = lists[slot]
        let (round, place) = sequence.quotientAndRemainder(dividingBy: words.count)
        var generator = SplitMix64(
            seed: seed &+ salt &* 0x9E37_79B9 &+ UInt64(slot) << 48 &+ UInt64(round) << 16)
        return words.indices.shuffled(using: &generator).prefix(place + 1).last.map { words[$0] }
            ?? words[0]
    }
}
