// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Testing
import ZImage

/// What the tokenizer says about files that are missing, damaged or of another kind.
@Suite struct TokenizerFileTests {
    /// A set of files and the error that they must give.
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let files: [String: String]
        let code: TokenizerError.Code
        /// A part of the message.
        let message: String

        init(
            _ name: String,
            _ files: [String: String],
            _ code: TokenizerError.Code,
            _ message: String
        ) {
            testDescription = name
            self.files = files
            self.code = code
            self.message = message
        }
    }

    @Test("a bad set of files is refused with the reason", arguments: missing + damaged + foreign)
    func refusal(_ bad: Case) throws {
        try withFolder(bad.files) { folder in
            let error = try #require(throws: TokenizerError.self) {
                try QwenTokenizer(directory: folder)
            }
            #expect(error.code == bad.code)
            #expect(error.message.contains(bad.message), "\(error.message)")
            #expect(!error.description.contains("\n"))
            #expect(error.message.hasSuffix("."))
        }
    }

    static let small = TestVocabulary.small()

    /// The older pair of files, with changes.
    static func pair(
        vocabulary: String? = nil,
        merges: String? = nil,
        config: String? = nil
    ) -> [String: String] {
        [
            "vocab.json": vocabulary ?? small.vocabularyJSON,
            "merges.txt": merges ?? small.mergesText,
            "tokenizer_config.json": config ?? small.configJSON,
        ]
    }

    static let missing = [
        Case("an empty folder", [:], .notFound, "found neither"),
        Case(
            "no merges",
            ["vocab.json": small.vocabularyJSON],
            .notFound,
            "found vocab.json alone"
        ),
        Case(
            "no vocabulary",
            ["merges.txt": small.mergesText],
            .notFound,
            "found merges.txt alone"
        ),
    ]

    static let damaged: [Case] = {
        var twice = small
        twice.tokens.append("ab")
        var holed = small
        holed.tokens[0] = "zz"
        let whole = small.tokenizerJSON()
        func vocabulary(_ old: String, _ new: String) -> [String: String] {
            pair(vocabulary: small.vocabularyJSON.replacing(old, with: new))
        }
        return [
            Case(
                "an empty file",
                ["tokenizer.json": ""],
                .malformed,
                "expected '{', found the end"
            ),
            Case(
                "a cut file",
                ["tokenizer.json": String(whole.prefix(whole.count / 2))],
                .malformed,
                "found the end"
            ),
            Case("an array", ["tokenizer.json": "[1, 2]"], .malformed, "expected '{'"),
            Case(
                "something after",
                ["tokenizer.json": whole + "x"],
                .malformed,
                "expected the end, found 'x'"
            ),
            Case(
                "no model",
                ["tokenizer.json": #"{"pre_tokenizer": \#(TestVocabulary.split)}"#],
                .malformed,
                "no model"
            ),
            Case(
                "an added token of the wrong type",
                ["tokenizer.json": whole.replacing("\"<|im_end|>\"", with: "7")],
                .malformed,
                "expected String in 1.content"
            ),
            Case("a negative id", vocabulary("\"ab\": 256", "\"ab\": -1"), .malformed, "id -1"),
            Case("a huge id", vocabulary(": 256", ": 99999999"), .malformed, "id 99999999"),
            Case(
                "an endless id",
                vocabulary(": 256", ": 9999999999999999999999"),
                .malformed,
                "smaller"
            ),
            Case("half an id", vocabulary(": 256", ": 256.5"), .malformed, "whole number"),
            Case("an id in words", vocabulary(": 256", ": \"256\""), .malformed, "whole number"),
            Case("an id given twice", vocabulary(": 257", ": 256"), .malformed, "to another token"),
            Case(
                "a token given twice",
                pair(vocabulary: twice.vocabularyJSON),
                .malformed,
                "'ab' twice"
            ),
            Case(
                "a byte without token",
                pair(vocabulary: holed.vocabularyJSON),
                .malformed,
                "for byte 0"
            ),
            Case("an unknown half", pair(merges: "a b\nab q9\n"), .malformed, "merge 1 with 'q9'"),
            Case("an unknown whole", pair(merges: "b a\n"), .malformed, "with 'ba'"),
            Case("a merge of three", pair(merges: "a b c\n"), .malformed, "one space between"),
            Case("a merge of one", pair(merges: "#version: 0.2\nab\n"), .malformed, "'ab'"),
            Case(
                "a pair of three",
                ["tokenizer.json": whole.replacing(#"["a", "b"]"#, with: #"["a", "b", "c"]"#)],
                .malformed,
                "of 3 parts"
            ),
            Case("a bad escape", vocabulary("\"ab\"", #""\x""#), .malformed, "an escape"),
            Case(
                "half a surrogate pair",
                vocabulary("\"ab\"", #""\ud83d""#),
                .malformed,
                "surrogate"
            ),
            Case("a bad config", pair(config: "{"), .malformed, "tokenizer_config.json"),
            Case(
                "an added id in words",
                pair(config: #"{"added_tokens_decoder": {"x": {"content": "<|im_start|>"}}}"#),
                .malformed,
                "id 'x'"
            ),
            Case(
                "an added id that is taken",
                pair(config: #"{"added_tokens_decoder": {"3": {"content": "<|im_start|>"}}}"#),
                .malformed,
                "to another token"
            ),
            Case(
                "an added token without text",
                pair(config: #"{"added_tokens_decoder": {"900": {"content": ""}}}"#),
                .malformed,
                "without text"
            ),
            Case(
                "brackets without end",
                [
                    "tokenizer.json": small.tokenizerJSON(
                        normalizer: String(repeating: "[", count: 100_000)
                            + String(repeating: "]", count: 100_000)
                    )
                ],
                .malformed,
                "expected at most 64 levels of nesting"
            ),
            Case("no template tokens", pair(config: "{}"), .malformed, "<|im_start|>"),
            Case(
                "two ids for one added token",
                [
                    "tokenizer.json": whole,
                    "tokenizer_config.json":
                        #"{"added_tokens_decoder": {"900": {"content": "<|im_start|>"}}}"#,
                ],
                .malformed,
                "already"
            ),
        ]
    }()

    static let foreign: [Case] = {
        func file(_ name: String, _ text: String, _ message: String) -> Case {
            Case(name, ["tokenizer.json": text], .unsupported, message)
        }
        let split = TestVocabulary.split
        return [
            file("a unigram model", small.tokenizerJSON(model: #""type": "Unigram""#), "Unigram"),
            file(
                "dropout",
                small.tokenizerJSON(model: #""type": "BPE", "dropout": 0.1"#),
                "dropout 0.1"
            ),
            file(
                "whole words first",
                small.tokenizerJSON(model: #""type": "BPE", "ignore_merges": true"#),
                "ignore_merges"
            ),
            file("NFKC", small.tokenizerJSON(normalizer: #"{"type": "NFKC"}"#), "normalizer NFKC"),
            file(
                "a name of many lines",
                small.tokenizerJSON(
                    normalizer: #"{"type": ""# + String(repeating: #"\n"#, count: 500) + #""}"#
                ),
                "normalizer"
            ),
            file("no split", small.tokenizerJSON(split: "null"), "no pre-tokenizer"),
            file(
                "another split",
                small.tokenizerJSON(split: #"{"type": "Metaspace"}"#),
                "Metaspace"
            ),
            file(
                "another pattern",
                small.tokenizerJSON(split: split.replacing(#"|\\p{N}|"#, with: #"|\\p{N}{1,3}|"#)),
                "by the pattern"
            ),
            file(
                "another behaviour",
                small.tokenizerJSON(split: split.replacing("Isolated", with: "Removed")),
                "Removed"
            ),
            file(
                "a prefix space",
                small.tokenizerJSON(
                    split: split.replacing(
                        #""add_prefix_space": false"#,
                        with: #""add_prefix_space": true"#
                    )
                ),
                "prefix space"
            ),
            file(
                "tokens around the text",
                small.tokenizerJSON(
                    processor: #"{"type": "TemplateProcessing", "special_tokens": {"[CLS]": {}}}"#
                ),
                "TemplateProcessing"
            ),
            file(
                "an added token that takes blanks",
                small.tokenizerJSON().replacing(
                    #""normalized": false"#,
                    with: #""rstrip": true"#
                ),
                "rstrip"
            ),
        ]
    }()

    @Test("a place that is no folder of files is refused")
    func places() throws {
        let error = try #require(throws: TokenizerError.self) {
            try QwenTokenizer(directory: URL(filePath: "/nowhere/tokenizer"))
        }
        #expect(error.code == .notFound && error.message.contains("/nowhere/tokenizer"))
        try withFolder(["tokenizer.json": "{}"]) { folder in
            let file = folder.appending(path: "tokenizer.json")
            let error = try #require(throws: TokenizerError.self) {
                try QwenTokenizer(directory: file)
            }
            #expect(error.code == .notFound && error.message.contains("found a file"))
        }
        try withFolder([:]) { folder in
            try FileManager.default.createDirectory(
                at: folder.appending(path: "vocab.json"),
                withIntermediateDirectories: false
            )
            let error = try #require(throws: TokenizerError.self) {
                try QwenTokenizer(directory: folder)
            }
            #expect(error.code == .malformed && error.message.contains("vocab.json to be a file"))
        }
    }

    @Test("files that are links, as a model hub's cache holds, are followed")
    func links() throws {
        try withFolder(Self.pair()) { folder in
            let links = folder.appending(path: "links")
            try FileManager.default.createDirectory(at: links, withIntermediateDirectories: false)
            for name in ["vocab.json", "merges.txt", "tokenizer_config.json"] {
                try FileManager.default.createSymbolicLink(
                    at: links.appending(path: name),
                    withDestinationURL: folder.appending(path: name)
                )
            }
            let ids = try QwenTokenizer(directory: links).encode("abc")
            #expect(ids == [257])
        }
    }

    @Test("odd but valid files are read")
    func oddities() throws {
        var files = Self.pair(
            vocabulary: Self.small.vocabularyJSON.replacing("\"Ġab\"", with: #""\u0120\u0061b""#),
            merges: Self.small.mergesText.replacing("\n", with: "\r\n") + "\r\n"
        )
        try withFolder(files) { folder in
            let ids = try QwenTokenizer(directory: folder).encode("abc ab")
            #expect(ids == [257, 258])
        }
        // Without a normaliser a letter and its accent stay apart: three bytes, not two.
        files = ["tokenizer.json": Self.small.tokenizerJSON(normalizer: "null")]
        try withFolder(files) { folder in
            let ids = try QwenTokenizer(directory: folder).encode("e\u{301}")
            #expect(ids == [0x65, 0xCC, 0x81])
        }
    }

    @Test("the longest added token at the leftmost place is taken, before anything else")
    func addedTokens() throws {
        var vocabulary = Self.small
        vocabulary.addedTokens += ["<x", "<x>", "bc"]
        let files = ["tokenizer.json": vocabulary.tokenizerJSON()]
        let tokenizer = try withFolder(files) { try QwenTokenizer(directory: $0) }
        let first = Int32(vocabulary.tokens.count)
        #expect(tokenizer.encode("<x>") == [first + 3])
        #expect(tokenizer.encode("<x<x>") == [first + 2, first + 3])
        #expect(tokenizer.encode("abc") == [0x61, first + 4])
        // The raw text is searched: a mark after the token cannot hide its last character.
        #expect(tokenizer.encode("<x>\u{338}") == [first + 3, 0xCC, 0xB8])
    }

    @Test("bytes changed at random are read or refused, never a crash")
    func mutations() throws {
        let texts = [
            ("tokenizer.json", Self.small.tokenizerJSON()),
            ("vocab.json", Self.small.vocabularyJSON),
            ("tokenizer_config.json", Self.small.configJSON), ("merges.txt", Self.small.mergesText),
        ]
        var random = SplitMix(state: 5)
        var refused = 0
        for round in 0..<400 {
            let (name, text) = texts[round % texts.count]
            var bytes = Array(text.utf8)
            for _ in 0..<1 + random.below(4) {
                let place = random.below(bytes.count)
                switch random.below(4) {
                case 0: bytes[place] = UInt8(random.below(256))
                case 1: bytes.remove(at: place)
                case 2: bytes.insert(Array("[]{}\",:\\-u9".utf8)[random.below(11)], at: place)
                default: bytes.removeSubrange(place..<min(bytes.count, place + random.below(9)))
                }
            }
            var files = name == "tokenizer.json" ? [:] : Self.pair()
            files[name] = ""
            try withFolder(files) { folder in
                try Data(bytes).write(to: folder.appending(path: name))
                do throws(TokenizerError) {
                    _ = try QwenTokenizer(directory: folder).encodePrompt("abc")
                } catch {
                    refused += 1
                }
            }
        }
        #expect(refused > 100 && refused < 400)
    }
}
