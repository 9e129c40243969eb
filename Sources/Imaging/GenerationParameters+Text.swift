// Part of Inkstone. Licence: see LICENSE.

extension GenerationParameters {
    static let negativeMark = "Negative prompt:"
    static let exactPromptKey = "Exact prompt"
    static let exactNegativeKey = "Exact negative prompt"

    /// The text for a file: prompt, negative prompt if any, one line of pairs.
    ///
    /// The prompt ends with tags such as `<lora:ink:0.8>`, by which other programs apply the adapters;
    /// ``init(parsing:)`` removes them.
    ///
    /// A prompt that the plain form cannot represent (leading or trailing white space, a line that
    /// begins with "Negative prompt:") is repeated as a quoted pair, so that nothing is lost.
    public var text: String {
        let plain = compose(pairs: pairs)
        var exact: [String] = []
        // Trimmed as a reader does, which can move a mark to the start of a line.
        let (prompt, negative) = Self.splitPrompts(plain.trimmed.linesByLineFeed.dropLast())
        if withoutTags(prompt) != self.prompt {
            exact.append(Infotext.pair(Self.exactPromptKey, self.prompt))
        }
        if negative != negativePrompt {
            exact.append(Infotext.pair(Self.exactNegativeKey, negativePrompt))
        }
        return exact.isEmpty ? plain : compose(pairs: pairs + exact)
    }

    private func compose(pairs: [String]) -> String {
        let first = taggedPrompt
        var lines = first.isEmpty ? [] : [first]
        if !negativePrompt.isEmpty { lines.append("\(Self.negativeMark) \(negativePrompt)") }
        lines.append(pairs.joined(separator: ", "))
        return lines.joined(separator: "\n")
    }

    /// The pairs in the order in which clients show them.
    private var pairs: [String] {
        var result: [String] = []
        func add(_ key: String, _ value: String?) {
            if let value { result.append(Infotext.pair(key, value)) }
        }
        add("Steps", steps.map(String.init))
        add("Sampler", sampler)
        add("Schedule type", scheduleType)
        add("CFG scale", cfgScale.map(Self.number))
        add("Seed", seed.map { String($0) })
        if let width, let height { add("Size", "\(width)x\(height)") }
        add("Model hash", modelHash)
        add("Model", model)
        // Weights first: they name every adapter, which preserves the order.
        let weights = loras.map { Infotext.pair(list: $0.name, Self.number($0.scale)) }
        if !weights.isEmpty { add("Lora weights", weights.joined(separator: ", ")) }
        let textWeights = loras.compactMap { lora in
            lora.textScale.map { Infotext.pair(list: lora.name, Self.number($0)) }
        }
        if !textWeights.isEmpty { add("Lora text weights", textWeights.joined(separator: ", ")) }
        let hashes = loras.compactMap { lora in
            lora.hash.map { Infotext.pair(list: lora.name, $0) }
        }
        if !hashes.isEmpty { add("Lora hashes", hashes.joined(separator: ", ")) }
        for field in extras { add(field.key, field.value) }
        add("Version", version)
        return result
    }

    /// Formats a number without a decimal point if it is an integer.
    private static func number(_ value: Double) -> String {
        let text = "\(value)"
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    // MARK: LoRA

    /// The prompt with the tags by which other programs apply the adapters.
    public var taggedPrompt: String {
        [prompt, tags].filter { !$0.isEmpty }.joined(separator: " ")
    }

    /// The tags by which other programs apply the adapters, as far as their names can be in one; a prompt ends with them.
    private var tags: String {
        loras.filter { lora in
            !lora.name.isEmpty
                && lora.name.unicodeScalars.allSatisfy {
                    $0.value >= 0x20 && !":<>".unicodeScalars.contains($0)
                }
        }.map { lora in
            let scale = Self.number(lora.scale)
            let scales = lora.textScale.map { Self.number($0) + ":" + scale } ?? scale
            return "<lora:\(lora.name):\(scales)>"
        }.joined(separator: " ")
    }

    /// A prompt of a file without the tags of its adapters at the end.
    func withoutTags(_ prompt: String) -> String {
        let tags = tags
        guard !tags.isEmpty, prompt.utf8.count >= tags.utf8.count,
            prompt.utf8.suffix(tags.utf8.count).elementsEqual(tags.utf8)
        else { return prompt }
        let rest = prompt.utf8.dropLast(tags.utf8.count)
        return String(Substring(rest.last == UInt8(ascii: " ") ? rest.dropLast() : rest))
    }
}
