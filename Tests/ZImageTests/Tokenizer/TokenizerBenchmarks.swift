// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Testing
import ZImage

/// How fast the tokenizer is; prints, and asserts nothing about time.
///
/// Set `INKSTONE_BENCHMARKS` to any value to run it, with `-c release`.
@Suite(.enabled(if: ProcessInfo.processInfo.environment["INKSTONE_BENCHMARKS"] != nil), .serialized)
struct TokenizerBenchmarks {
    @Test("megabytes a second and microseconds a prompt")
    func throughput() throws {
        let fixtures = try TokenizerFixtures()
        let vocabulary = try TestVocabulary.trained()
        let clock = ContinuousClock()
        var tokenizer: QwenTokenizer?
        let files = ["tokenizer.json": vocabulary.tokenizerJSON()]
        try withFolder(files) { folder in
            let load = try clock.measure { tokenizer = try QwenTokenizer(directory: folder) }
            print("tokenizer: 50,000 tokens loaded in \(load)")
        }
        let encoder = try #require(tokenizer)
        var texts = [
            ("mixed", (0..<12_000).map(fixtures.string).joined(separator: "\n")),
            ("one word", String(repeating: "photograph", count: 100_000)),
        ]
        for group in [0, 3, 10] {
            let text = fixtures.groups[group].joined(separator: " ") + "\n"
            texts.append(
                ("group \(group)", String(repeating: text, count: 1_000_000 / text.utf8.count))
            )
        }
        for (name, text) in texts {
            let seconds = (0..<5).map { _ in clock.measure { _ = encoder.encode(text) } }.sorted()
            let rate = Double(text.utf8.count) / 1e6 / (seconds[2] / .seconds(1))
            print("tokenizer: \(name), \(text.utf8.count) bytes, \(rate) MB/s, median of 5")
        }
        let prompt = "A photo of a mountain lake at sunset, 4k, detailed, 一只猫坐在红色的椅子上。"
        let time = clock.measure { for _ in 0..<1000 { _ = encoder.encodePrompt(prompt) } }
        print("tokenizer: one prompt takes \(time / 1000)")
    }
}
