// Part of Inkstone. Licence: see LICENSE.

import Foundation

extension GenerationParameters {
    /// Parses a text written by this or another program.
    ///
    /// The parameters are the last line, if it has at least three pairs. Where programs write line feeds inside quoted
    /// values, or further lines behind the parameters, they begin at the last line that begins with `Steps:`. Of equal
    /// keys the first counts: programs write their own parameters first, and extensions theirs behind them. Later ones, and a
    /// known key with a value of another type, are kept in ``extras``.
    ///
    /// - Returns: `nil` without such a line: the whole text is a prompt or a comment then.
    public init?(parsing text: String) {
        let lines = text.trimmed.linesByLineFeed
        guard let block = Infotext.parameters(in: lines) else { return nil }
        self.init(prompt: "", sampler: nil)
        var seen: Set<String> = []
        for (key, value) in block.pairs {
            if seen.insert(key).inserted {
                read(key, value)
            } else {
                extras.append(Field(key, value))
            }
        }
        // Exact prompts are complete.
        let (positive, negative) = Self.splitPrompts(lines[..<block.lines.lowerBound])
        // Tags without weights are those of another program.
        if !seen.contains(Self.exactPromptKey) {
            prompt = seen.contains("Lora weights") ? withoutTags(positive) : positive
        }
        if !seen.contains(Self.exactNegativeKey) { negativePrompt = negative }
        readHashes()
    }

    /// Splits prompt and negative prompt at the first mark at the start of a line.
    static func splitPrompts(_ lines: ArraySlice<String>) -> (String, String) {
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

    // MARK: LoRA

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
                // Some programs write the weight behind the hash.
                let parts = item.value.split(separator: ":", maxSplits: 1).map {
                    String($0).trimmed
                }
                if parts.count == 2, let scale = Double(parts[1]) {
                    (loras[index].hash, loras[index].scale) = (parts[0], scale)
                } else {
                    loras[index].hash = item.value
                }
            } else if let scale = Double(item.value) {
                if key == "Lora weights" {
                    loras[index].scale = scale
                } else {
                    loras[index].textScale = scale
                }
            }
        }
    }

    /// Completes hashes from the pair `Hashes`, an object that some programs write: `{"model": .., "lora:ink": ..}`.
    private mutating func readHashes() {
        guard let text = extras.first(where: { $0.key == "Hashes" })?.value,
            let hashes = try? JSONDecoder().decode([String: String].self, from: Data(text.utf8))
        else { return }
        if modelHash == nil { modelHash = hashes["model"] }
        for (key, hash) in hashes.sorted(by: { $0.key < $1.key }) where key.hasPrefix("lora:") {
            let name = String(key.dropFirst("lora:".count))
            guard name.utf8.count <= Infotext.maximumKeyBytes else { continue }
            if let index = loras.firstIndex(where: { $0.name == name }) {
                loras[index].hash = loras[index].hash ?? hash
            } else {
                loras.append(LoRA(name: name, hash: hash))
            }
        }
    }
}
