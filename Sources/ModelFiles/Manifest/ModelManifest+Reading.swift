// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation
import Parameters

extension ModelManifest {
    private static let sides = 16...8192
    private static let stepCounts = 1...1000
    private static let guidances = 0.0...100.0

    /// Reads the manifest of a model's folder; without a file it depends on the kind of the model.
    init(of url: URL, kind: ModelKind, latentChannels: Int) throws(CheckpointError) {
        let fallback = ModelManifest(
            kind: kind, id: Self.identifier(of: url), latentChannels: latentChannels)
        guard let file = try ManifestFile(in: url) else {
            self = fallback
            return
        }
        try self.init(file, fallback: fallback, latentChannels: latentChannels)
    }

    /// Reads the manifest of a file; absent fields come from `fallback`.
    ///
    /// A file with its own defaults but without sizes or presets gets one of each, from the defaults:
    /// those of `fallback` are for another image size.
    ///
    /// - Parameters:
    ///   - file: the file.
    ///   - fallback: the manifest of a folder without the file.
    ///   - latentChannels: the number of rows that the preview's factors must have.
    /// - Throws: `CheckpointError` of code `badConfig` that names the field.
    public init(
        _ file: ManifestFile, fallback: ModelManifest, latentChannels: Int
    ) throws(CheckpointError) {
        let reader = file.reader
        self = fallback
        if let text = try reader.text("id", atMost: 100) {
            guard Self.isIdentifier(text) else {
                throw reader.bad(
                    "id", .string(text),
                    expected: "letters, digits, '.', '_' and '-', beginning with a letter or digit")
            }
            id = text
        }
        name = try reader.text("name", atMost: 200) ?? name
        summary = try reader.localized("description") ?? summary
        license = try reader.text("license", atMost: 200) ?? license
        if let object = try reader.object("defaults") {
            defaults = try Self.defaults(object, defaults)
            sizes = [defaults.size]
            presets = [
                ModelPreset(
                    id: "default", name: ["en": "Default", "zh": "默认"], size: defaults.size,
                    steps: defaults.steps, guidanceScale: defaults.guidanceScale)
            ]
        }
        sizes = try Self.sizes(reader) ?? sizes
        presets = try Self.presets(reader, defaults) ?? presets
        examples = try Self.examples(reader) ?? examples
        words = try Self.words(reader) ?? words
        if let object = try reader.object("preview") {
            preview = try Self.preview(object, channels: latentChannels)
        }
        if let object = try reader.object("limits") {
            limits = try Self.limits(object)
            try checkLimits(reader, object)
        }
    }

    // MARK: Parts

    private static func defaults(
        _ reader: ConfigReader, _ fallback: ModelDefaults
    ) throws(CheckpointError) -> ModelDefaults {
        try reader.requireKnown(["width", "height", "steps", "guidance_scale", "negative_prompt"])
        return ModelDefaults(
            size: try size(reader, fallback.size),
            steps: try reader.integer("steps", in: stepCounts) ?? fallback.steps,
            guidanceScale: try reader.number("guidance_scale", in: guidances)
                ?? fallback.guidanceScale,
            negativePrompt: try reader.string("negative_prompt") ?? fallback.negativePrompt)
    }

    private static func size(
        _ reader: ConfigReader, _ fallback: PixelSize
    ) throws(CheckpointError) -> PixelSize {
        PixelSize(
            width: try reader.side("width", in: sides) ?? fallback.width,
            height: try reader.side("height", in: sides) ?? fallback.height)
    }

    private static func sizes(_ reader: ConfigReader) throws(CheckpointError) -> [PixelSize]? {
        guard let list = try reader.array("sizes", count: 1...1000) else { return nil }
        var sizes: [PixelSize] = []
        for element in list {
            guard case .array(let pair) = element, pair.count == 2,
                case .integer(let width) = pair[0], case .integer(let height) = pair[1],
                isSide(Int(width)), isSide(Int(height))
            else {
                throw reader.bad(
                    "sizes[\(sizes.count)]", element,
                    expected: "[width, height] in multiples of 16 from \(sides.lowerBound) to"
                        + " \(sides.upperBound)")
            }
            sizes.append(PixelSize(width: Int(width), height: Int(height)))
        }
        return sizes
    }

    fileprivate static func isSide(_ side: Int) -> Bool {
        sides.contains(side) && side.isMultiple(of: 16)
    }

    private static func presets(
        _ reader: ConfigReader, _ defaults: ModelDefaults
    ) throws(CheckpointError) -> [ModelPreset]? {
        guard let list = try reader.array("presets", count: 1...100) else { return nil }
        var presets: [ModelPreset] = []
        for element in list {
            let object = try ConfigReader(
                element, source: reader.source, path: "presets[\(presets.count)]")
            try object.requireKnown(["id", "name", "width", "height", "steps", "guidance_scale"])
            guard let id = try object.text("id", atMost: 100), isIdentifier(id),
                !presets.contains(where: { $0.id == id })
            else {
                throw object.bad(
                    "id", object.members["id"] ?? .null,
                    expected: "an identifier that no other preset has")
            }
            presets.append(
                ModelPreset(
                    id: id, name: try object.localized("name") ?? ["en": id],
                    size: try size(object, defaults.size),
                    steps: try object.integer("steps", in: stepCounts) ?? defaults.steps,
                    guidanceScale: try object.number("guidance_scale", in: guidances)
                        ?? defaults.guidanceScale))
        }
        return presets
    }

    private static func examples(
        _ reader: ConfigReader
    ) throws(CheckpointError) -> [String: [String]]? {
        guard let examples = try reader.lists("examples", count: 0...1000) else { return nil }
        for (language, prompts) in examples.sorted(by: { $0.key < $1.key }) {
            guard prompts.allSatisfy({ !$0.isEmpty && $0.unicodeScalars.count <= 4000 }) else {
                throw reader.bad(
                    "examples.\(language)", .array(prompts.map(JSONValue.string)),
                    expected: "prompts of 1 to 4000 characters")
            }
        }
        return examples
    }

    private static func words(
        _ reader: ConfigReader
    ) throws(CheckpointError) -> [String: [String]]? {
        guard let words = try reader.lists("words", count: 0...10_000) else { return nil }
        for (language, list) in words.sorted(by: { $0.key < $1.key }) {
            var known: Set<String> = []
            for (index, word) in list.enumerated() {
                let place = "words.\(language)[\(index)]"
                guard isWord(word) else {
                    throw reader.bad(
                        place, .string(word),
                        expected: "a word of 1 to 100 characters without spaces around it")
                }
                guard known.insert(word.lowercased()).inserted else {
                    throw reader.bad(
                        place, .string(word), expected: "a word that is not in the list before")
                }
            }
        }
        return words
    }

    /// Whether a text is one or more words on a line, with single spaces between them.
    private static func isWord(_ text: String) -> Bool {
        let parts = text.split(separator: " ", omittingEmptySubsequences: false)
        return text.unicodeScalars.count <= 100
            && parts.allSatisfy { part in
                !part.isEmpty
                    && part.unicodeScalars.allSatisfy {
                        !$0.properties.isWhitespace && $0.properties.generalCategory != .control
                    }
            }
    }

    private static func preview(
        _ reader: ConfigReader, channels: Int
    ) throws(CheckpointError) -> Preview {
        try reader.requireKnown(["factors", "bias"])
        guard let rows = try reader.array("factors", count: channels...channels) else {
            throw reader.bad("\(reader.path)factors is missing, expected \(channels) rows")
        }
        var factors: [[Double]] = []
        for row in rows {
            factors.append(try reader.color("factors[\(factors.count)]", row))
        }
        guard let bias = reader["bias"] else { return Preview(factors: factors, bias: [0, 0, 0]) }
        return Preview(factors: factors, bias: try reader.color("bias", bias))
    }

    private static func limits(_ reader: ConfigReader) throws(CheckpointError) -> ModelLimits {
        try reader.requireKnown([
            "max_width", "max_height", "max_steps", "max_count", "max_prompt_length",
        ])
        let usual = ModelLimits()
        return ModelLimits(
            maximumWidth: try reader.side("max_width", in: sides) ?? usual.maximumWidth,
            maximumHeight: try reader.side("max_height", in: sides) ?? usual.maximumHeight,
            maximumSteps: try reader.integer("max_steps", in: stepCounts) ?? usual.maximumSteps,
            maximumCount: try reader.integer("max_count", in: 1...10_000) ?? usual.maximumCount,
            maximumPromptLength: try reader.integer("max_prompt_length", in: 1...1_000_000)
                ?? usual.maximumPromptLength)
    }

    /// Nothing that the manifest offers may exceed the limits that it states itself.
    private func checkLimits(
        _ reader: ConfigReader, _ stated: ConfigReader
    ) throws(CheckpointError) {
        func limit(_ key: String, _ value: Int) -> Int { stated[key] == nil ? .max : value }
        let width = limit("max_width", limits.maximumWidth)
        let height = limit("max_height", limits.maximumHeight)
        let steps = limit("max_steps", limits.maximumSteps)
        var offers = sizes.enumerated().map { ("sizes[\($0)]", $1, 1) }
        offers += presets.map { ("preset \($0.id)", $0.size, $0.steps) }
        offers.append(("defaults", defaults.size, defaults.steps))
        for (place, size, count) in offers {
            guard size.width <= width, size.height <= height, count <= steps else {
                throw reader.bad(
                    "\(place) asks for \(size) in \(count) steps, which exceeds limits")
            }
        }
    }

    static func isIdentifier(_ text: String) -> Bool {
        text.isPlainName(atMost: .max, notBeginningWith: "._-")
    }
}

extension ConfigReader {
    /// A text of 1 to `limit` characters, or `nil` if absent.
    fileprivate func text(_ key: String, atMost limit: Int) throws(CheckpointError) -> String? {
        guard let text = try string(key) else { return nil }
        guard !text.isEmpty, text.unicodeScalars.count <= limit else {
            throw bad(key, .string(text), expected: "a text of 1 to \(limit) characters")
        }
        return text
    }

    /// A side of a picture, or `nil` if absent.
    fileprivate func side(
        _ key: String, in range: ClosedRange<Int>
    ) throws(CheckpointError) -> Int? {
        guard let side = try integer(key, in: range) else { return nil }
        guard ModelManifest.isSide(side) else {
            throw bad(key, .integer(Int64(side)), expected: "a multiple of 16")
        }
        return side
    }

    /// A text by language code; a bare text counts as English.
    fileprivate func localized(_ key: String) throws(CheckpointError) -> [String: String]? {
        let limit = 4000
        guard let value = self[key] else { return nil }
        if case .string = value {
            guard let text = try text(key, atMost: limit) else { return nil }
            return ["en": text]
        }
        guard let object = try object(key) else { return nil }
        var texts: [String: String] = [:]
        for language in object.members.keys.sorted() {
            guard Self.isLanguage(language), let text = try object.text(language, atMost: limit)
            else {
                throw bad(key, value, expected: "texts by language code, such as {\"en\": \"…\"}")
            }
            texts[language] = text
        }
        guard !texts.isEmpty else { throw bad(key, value, expected: "at least one text") }
        return texts
    }

    /// Lists of texts by language code, or `nil` if absent.
    fileprivate func lists(
        _ key: String, count: ClosedRange<Int>
    ) throws(CheckpointError) -> [String: [String]]? {
        guard let object = try object(key) else { return nil }
        var lists: [String: [String]] = [:]
        for language in object.members.keys.sorted() {
            guard Self.isLanguage(language) else {
                throw object.bad(
                    "\(key) has the key \(language.quoted), expected a language code such as 'en'")
            }
            lists[language] = try object.strings(language, count: count) ?? []
        }
        return lists
    }

    /// Red, green and blue.
    fileprivate func color(_ key: String, _ value: JSONValue) throws(CheckpointError) -> [Double] {
        let range = -1e3...1e3
        guard case .array(let elements) = value else {
            throw bad(key, value, expected: "a list of 3 numbers")
        }
        let numbers = elements.compactMap(\.asNumber).filter(range.contains)
        guard numbers.count == 3, elements.count == 3 else {
            throw bad(key, value, expected: "a list of 3 numbers from -1000 to 1000")
        }
        return numbers
    }

    /// Whether a text looks like `en` or `zh-Hant`.
    fileprivate static func isLanguage(_ code: String) -> Bool {
        (2...20).contains(code.utf8.count)
            && code.unicodeScalars.allSatisfy {
                $0.isASCII && ($0.properties.isAlphabetic || $0 == "-")
            }
    }
}
