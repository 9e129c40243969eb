// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles

/// Collects tokens and merges from a tokenizer's files and checks that they are consistent.
struct VocabularyBuilder {
    private var index = TokenIndex()
    /// Whether each id belongs to a token.
    private var isTaken: [Bool] = []
    private var merges = MergeTable(capacity: 0)
    private var added: [[UInt8]: Int32] = [:]
    private var composes = true

    /// Ids index the text encoder's embedding; a larger one means a damaged file.
    private static let largestId = 1 << 24

    // MARK: - vocab.json and merges.txt

    /// Reads the older pair of files.
    init(vocabulary: [UInt8], merges text: [UInt8]) throws(TokenizerError) {
        let file = "vocab.json"
        try Self.scan(vocabulary, file) { bytes in
            var scanner = JSONScanner(bytes)
            try readVocabulary(&scanner, file: file)
            try scanner.expectEnd()
        }
        try readMerges(lines: text)
    }

    /// Reads `merges.txt`: one merge a line, the earliest first, after a line with the version.
    private mutating func readMerges(lines text: [UInt8]) throws(TokenizerError) {
        let newline = UInt8(ascii: "\n")
        merges = MergeTable(capacity: text.count { $0 == newline } + 1)
        var rank = 0
        for line in text.split(separator: newline) {
            let line = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
            guard !line.isEmpty, !line.starts(with: "#version".utf8) else { continue }
            try addMerge(joined: line, rank: rank, file: "merges.txt")
            rank += 1
        }
    }

    // MARK: - tokenizer.json

    /// Reads the newer file, which contains everything.
    init(tokenizer bytes: [UInt8]) throws(TokenizerError) {
        let file = "tokenizer.json"
        let (parts, model) = try Self.scan(bytes, file) { try Self.parts($0) }

        func component(_ name: String) throws(TokenizerError) -> TokenizerComponent? {
            try parts[name].flatMap { (range) throws(TokenizerError) in
                try Self.decode(TokenizerComponent?.self, bytes[range], "\(file), \(name)")
            }
        }
        composes = try TokenizerComponent.composes(component("normalizer"))
        try TokenizerComponent.checkSplit(component("pre_tokenizer"))
        try TokenizerComponent.checkAddsNothing(component("post_processor"))
        guard let model else {
            throw .malformed("\(file) has no model, expected a BPE model.")
        }
        try Self.scan(bytes, file) { try readModel(model, of: $0, file: file) }
        if let range = parts["added_tokens"] {
            let records = try Self.decode(
                [AddedTokenRecord].self,
                bytes[range],
                "\(file), added_tokens"
            )
            for record in records {
                guard let id = record.id else {
                    throw .malformed("\(file) has the added token '\(record.content)' without id.")
                }
                try add(record, id: id, file: file)
            }
        }
    }

    /// Reads the `model` object, given the positions of its members.
    private mutating func readModel(
        _ parts: Parts,
        of bytes: UnsafeRawBufferPointer,
        file: String
    ) throws {
        func text(_ name: String) -> String? {
            parts[name].map { String(decoding: bytes[$0], as: UTF8.self) }
        }
        guard text("type") == "\"BPE\"" else {
            throw TokenizerError.unsupported(
                "\(file) has a model of type \(text("type") ?? "none"), expected BPE."
            )
        }
        let inert: [String: Set<String>] = [
            "dropout": ["null", "0.0", "0"], "ignore_merges": ["null", "false"],
            "continuing_subword_prefix": ["null", "\"\""],
            "end_of_word_suffix": ["null", "\"\""],
        ]
        for (name, values) in inert.sorted(by: { $0.key < $1.key }) {
            guard let found = text(name), !values.contains(found) else { continue }
            throw TokenizerError.unsupported(
                "\(file) has a model with \(name) \(found), expected none."
            )
        }
        guard let vocabulary = parts["vocab"], let list = parts["merges"] else {
            throw TokenizerError.malformed(
                "\(file) has a model without vocab or merges, expected both."
            )
        }
        var scanner = JSONScanner(bytes, offset: vocabulary.lowerBound)
        try readVocabulary(&scanner, file: file)
        scanner = JSONScanner(bytes, offset: list.lowerBound)
        try readMerges(&scanner, file: file)
    }

    /// Reads the array of merges: strings with a space between, or pairs.
    private mutating func readMerges(_ scanner: inout JSONScanner, file: String) throws {
        merges = MergeTable(capacity: index.count)
        var rank = 0
        // Both tokens, one after the other; its storage is used again.
        var tokens: [UInt8] = []
        try scanner.openArray()
        while try scanner.nextElement() {
            tokens.removeAll(keepingCapacity: true)
            if scanner.peek() == UInt8(ascii: "[") {
                var count = 0
                var middle = 0
                try scanner.openArray()
                while try scanner.nextElement() {
                    try scanner.readText()
                    if count < 2 { tokens += scanner.text }
                    if count == 0 { middle = tokens.count }
                    count += 1
                }
                guard count == 2 else {
                    throw TokenizerError.malformed(
                        "\(file) has merge \(rank) of \(count) parts, expected two."
                    )
                }
                try addMerge(tokens, splitAt: middle, rank: rank, file: file)
            } else {
                try scanner.readText()
                try addMerge(joined: scanner.text[...], rank: rank, file: file)
            }
            rank += 1
        }
    }

    // MARK: - GGUF

    /// Reads the lists that a GGUF file has beside a text encoder's weights.
    init(gguf url: URL) throws(TokenizerError) {
        let file: GGUFFile
        do { file = try GGUFFile(url: url) } catch { throw .malformed(error.description) }
        let name = url.lastPathComponent
        for (key, expected) in [("model", "gpt2"), ("pre", "qwen2")] {
            let found = file.string("tokenizer.ggml.\(key)")
            guard found == expected else {
                throw .unsupported(
                    "\(name) has a tokenizer with \(key) \(found ?? "unknown"), expected \(expected)."
                )
            }
        }
        guard let tokens = file.texts("tokenizer.ggml.tokens"),
            let list = file.texts("tokenizer.ggml.merges"),
            let types = file.integers("tokenizer.ggml.token_type"), types.count == tokens.count
        else {
            throw .malformed(
                "\(name) has no whole tokenizer, expected tokens, their types and merges.")
        }
        // Control tokens and added tokens are not part of the merges.
        let isAdded = types.map { $0 == 3 || $0 == 4 }
        for (number, text) in tokens.enumerated() where !isAdded[number] {
            let id = try Self.checked(number, text, name)
            guard index.insert(text, id: id), reserve(id) else {
                throw .malformed("\(name) has the token '\(Self.shown(text))' twice.")
            }
        }
        for (number, text) in tokens.enumerated() where isAdded[number] {
            let id = try Self.checked(number, text, name)
            guard !text.isEmpty, added[text] == nil, index.find(text[...]) == nil, reserve(id)
            else {
                throw .malformed("\(name) has the token '\(Self.shown(text))' twice.")
            }
            added[text] = id
        }
        merges = MergeTable(capacity: list.count)
        for (rank, merge) in list.enumerated() {
            try addMerge(joined: merge[...], rank: rank, file: name)
        }
    }

    // MARK: - Shared by all files

    /// Reads an object of ids by token.
    private mutating func readVocabulary(_ scanner: inout JSONScanner, file: String) throws {
        try scanner.openObject()
        while try scanner.nextKey() {
            let id = try Self.checked(Int(try scanner.integer()), scanner.text, file)
            guard index.insert(scanner.text, id: id) else {
                throw TokenizerError.malformed(
                    "\(file) has the token '\(Self.shown(scanner.text))' twice."
                )
            }
            guard reserve(id) else {
                throw TokenizerError.malformed(
                    "\(file) gives id \(id) to '\(Self.shown(scanner.text))' and to another token."
                )
            }
        }
    }

    private mutating func addMerge(
        joined: ArraySlice<UInt8>,
        rank: Int,
        file: String
    ) throws(TokenizerError) {
        let parts = joined.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard parts.count == 2 else {
            throw .malformed(
                "\(file) has merge \(rank) '\(Self.shown(Array(joined)))', "
                    + "expected two tokens with one space between."
            )
        }
        try addMerge(Array(parts[0] + parts[1]), splitAt: parts[0].count, rank: rank, file: file)
    }

    private mutating func addMerge(
        _ tokens: [UInt8],
        splitAt middle: Int,
        rank: Int,
        file: String
    ) throws(TokenizerError) {
        func id(_ text: ArraySlice<UInt8>) throws(TokenizerError) -> Int32 {
            guard let id = index.find(text) else {
                throw .malformed(
                    "\(file) has merge \(rank) with '\(Self.shown(Array(text)))', "
                        + "expected a token of the vocabulary."
                )
            }
            return id
        }
        try merges.insert(
            id(tokens[..<middle]),
            id(tokens[middle...]),
            rank: rank,
            result: id(tokens[...])
        )
    }

    /// Adds the tokens that `tokenizer_config.json` lists in `added_tokens_decoder`.
    mutating func addTokens(config bytes: [UInt8]) throws(TokenizerError) {
        struct Config: Decodable {
            let decoder: [String: AddedTokenRecord]?
            enum CodingKeys: String, CodingKey { case decoder = "added_tokens_decoder" }
        }
        let file = "tokenizer_config.json"
        let records = try Self.decode(Config.self, bytes[...], file).decoder ?? [:]
        for (key, record) in records.sorted(by: { $0.key < $1.key }) {
            guard let id = Int(key) else {
                throw .malformed("\(file) has the added token id '\(key)', expected a number.")
            }
            try add(record, id: id, file: file)
        }
    }

    /// Adds one token; two files can contain the same one.
    private mutating func add(
        _ record: AddedTokenRecord,
        id number: Int,
        file: String
    ) throws(TokenizerError) {
        try record.check(file: file)
        let text = Array(record.content.utf8)
        let id = try Self.checked(number, text, file)
        if let known = added[text] ?? index.find(text[...]) {
            guard known == id else {
                throw .malformed(
                    "\(file) gives id \(id) to '\(record.content)', which has id \(known) already."
                )
            }
        } else if !reserve(id) {
            throw .malformed("\(file) gives id \(id) to '\(record.content)' and to another token.")
        }
        added[text] = id
    }

    /// Returns the finished vocabulary.
    ///
    /// - Throws: `TokenizerError.Code.malformed` when a byte or a token of the chat template has no
    ///   id.
    func build() throws(TokenizerError) -> Vocabulary {
        var byteIds: [Int32] = []
        for byte in UInt8.min...UInt8.max {
            let symbol = ByteAlphabet.symbol(byte)
            guard let id = index.find(symbol[...]) else {
                throw .malformed(
                    "The vocabulary has no token '\(Self.shown(symbol))' for byte \(byte), "
                        + "expected one for each of the 256."
                )
            }
            byteIds.append(id)
        }
        let tokens = AddedTokens(ids: added)
        for name in ["<|im_start|>", "<|im_end|>"] where tokens[name] == nil {
            throw .malformed(
                "The tokenizer's files have no added token \(name), which the chat template needs."
            )
        }
        return Vocabulary(
            byteIds: byteIds,
            merges: merges,
            addedTokens: tokens,
            composes: composes,
            idBound: isTaken.count
        )
    }

    /// Marks an id as used; returns `false` if it was used before.
    private mutating func reserve(_ id: Int32) -> Bool {
        let id = Int(id)
        if id >= isTaken.count {
            isTaken += Array(repeating: false, count: id + 1 - isTaken.count)
        }
        defer { isTaken[id] = true }
        return !isTaken[id]
    }

    private static func checked(
        _ id: Int,
        _ text: [UInt8],
        _ file: String
    ) throws(TokenizerError) -> Int32 {
        guard (0...largestId).contains(id) else {
            throw .malformed(
                "\(file) gives id \(id) to '\(shown(text))', expected 0 to \(largestId)."
            )
        }
        return Int32(id)
    }

    /// Returns a token's text for a message: one line of bounded length.
    private static func shown(_ text: [UInt8]) -> String {
        let text = String(decoding: text.prefix(60), as: UTF8.self)
        return text.debugDescription.dropFirst().dropLast() + ""
    }
}
