// Part of Inkstone. Licence: see LICENSE.

extension GenerationParameters {
    private static let negativeMark = "Negative prompt:"
    private static let exactPromptKey = "Exact prompt"
    private static let exactNegativeKey = "Exact negative prompt"

    /// The text for a file: prompt, negative prompt if any, one line of pairs.
    ///
    /// A prompt that the plain form cannot represent (leading or trailing white space, a line that
    /// begins with "Negative prompt:") is repeated as a quoted pair, so that nothing is lost.
    public var text: String {
        let plain = compose(pairs: pairs)
        var exact: [String] = []
        // Trimmed as a reader does, which can move a mark to the start of a line.
        let (prompt, negative) = Self.splitPrompts(plain.trimmed.linesByLineFeed.dropLast())
        if prompt != self.prompt { exact.append(Infotext.pair(Self.exactPromptKey, self.prompt)) }
        if negative != negativePrompt {
            exact.append(Infotext.pair(Self.exactNegativeKey, negativePrompt))
        }
        return exact.isEmpty ? plain : compose(pairs: pairs + exact)
    }

    /// Parses a text written by this or another program.
    ///
    /// The last line is parsed as parameters if it has at least three pairs. A known key with a
    /// value of another type is kept in ``extras``.
    ///
    /// - Returns: `nil` without such a line: the whole text is a prompt or a comment then.
    public init?(parsing text: String) {
        var lines = text.trimmed.linesByLineFeed
        guard let last = lines.popLast() else { return nil }
        let pairs = Infotext.pairs(in: last)
        guard pairs.count >= Infotext.minimumPairs else { return nil }
        let (prompt, negative) = Self.splitPrompts(lines[...])
        self.init(prompt: prompt, negativePrompt: negative, sampler: nil)
        for (key, value) in pairs { read(key, value) }
    }

    private func compose(pairs: [String]) -> String {
        var lines = prompt.isEmpty ? [] : [prompt]
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

    /// Splits prompt and negative prompt at the first mark at the start of a line.
    private static func splitPrompts(_ lines: ArraySlice<String>) -> (String, String) {
        let mark = lines.firstIndex { $0.utf8.starts(with: negativeMark.utf8) } ?? lines.endIndex
        let negative = lines[mark...].joined(separator: "\n").utf8.dropFirst(
            negativeMark.utf8.count)
        return (lines[..<mark].joined(separator: "\n").trimmed, String(Substring(negative)).trimmed)
    }

    /// Stores one pair under its property, or among the extras.
    private mutating func read(_ key: String, _ value: String) {
        switch key {
        case "Steps": store(key, value, Int(value), \.steps)
        case "Sampler": sampler = value
        case "Schedule type": scheduleType = value
        case "CFG scale": store(key, value, Double(value), \.cfgScale)
        case "Seed": store(key, value, UInt64(value), \.seed)
        case "Size": readSize(value)
        case "Model hash": modelHash = value
        case "Model": model = value
        case "Lora hashes", "Lora weights", "Lora text weights": readLoRAs(key, value)
        case "Version": version = value
        case Self.exactPromptKey: prompt = value
        case Self.exactNegativeKey: negativePrompt = value
        default: extras.append(Field(key, value))
        }
    }

    private mutating func store<Value>(
        _ key: String,
        _ text: String,
        _ value: Value?,
        _ property: WritableKeyPath<Self, Value?>
    ) {
        if let value {
            self[keyPath: property] = value
        } else {
            extras.append(Field(key, text))
        }
    }

    private mutating func readSize(_ value: String) {
        let sides = value.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
        guard sides.count == 2, let width = sides[0], let height = sides[1] else {
            extras.append(Field("Size", value))
            return
        }
        self.width = width
        self.height = height
    }

    /// Merges a list of hashes or of weights into the adapters, by name and in order.
    private mutating func readLoRAs(_ key: String, _ value: String) {
        let items = Infotext.list(value)
        guard !items.isEmpty else {
            extras.append(Field(key, value))
            return
        }
        var places: [String: Int] = [:]
        for (index, lora) in loras.enumerated() where places[lora.name] == nil {
            places[lora.name] = index
        }
        for item in items where item.name.utf8.count <= Infotext.maximumKeyBytes {
            let index = places[item.name] ?? loras.endIndex
            if index == loras.endIndex { loras.append(LoRA(name: item.name)) }
            places[item.name] = index
            if key == "Lora hashes" {
                loras[index].hash = item.value
            } else if let scale = Double(item.value) {
                if key == "Lora weights" {
                    loras[index].scale = scale
                } else {
                    loras[index].textScale = scale
                }
            }
        }
    }
}
