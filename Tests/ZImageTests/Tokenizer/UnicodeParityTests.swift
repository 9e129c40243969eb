// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Testing
import ZImage

/// NFC and the split pattern against the reference library, over every scalar.
@Suite struct UnicodeParityTests {
    @Test("every scalar is composed and split as in the reference")
    func scalars() throws {
        let expected = try TokenizerFixtures.hashes("scalars.bin")
        let blocks =
            Array(stride(from: 0, to: 0x34000, by: 1024)) + [0x40000]
            + Array(stride(from: 0xE0000, to: 0xE1000, by: 1024)) + [0xF0000, 0x10FC00]
        try #require(expected.count == 2 * blocks.count)
        for (index, block) in blocks.enumerated() {
            let scalars = (block..<block + 1024).compactMap { Unicode.Scalar(UInt32($0)) }
            var around = ""
            var text = ""
            for scalar in scalars {
                let c = String(scalar)
                around += "\u{315}\(c)\n\(c)\u{334}\ne\(c)\u{301}\n\(c)\u{323}\u{301}\n"
                text += "a\(c)a 1\(c) \(c)\(c)\t'\(c)e'l\(c)\n"
            }
            let composed = TokenizerFixtures.hash(Composition.composed(around).utf8)
            #expect(composed == expected[2 * index], "NFC from U+\(String(block, radix: 16))")
            let pieces = PieceScanner.pieces(of: text).map { Array($0.utf8) }
            let split = TokenizerFixtures.hash(pieces.joined(separator: [0xFF]))
            #expect(split == expected[2 * index + 1], "split from U+\(String(block, radix: 16))")
        }
    }

    @Test("4,000 runs of marks are composed as in the reference")
    func marks() throws {
        let fixtures = try TokenizerFixtures()
        let expected = try TokenizerFixtures.hashes("marks.bin")
        let wrong = expected.indices.filter {
            TokenizerFixtures.hash(Composition.composed(fixtures.marks($0)).utf8) != expected[$0]
        }
        #expect(wrong.isEmpty, "\(wrong.count) differ, the first are \(wrong.prefix(5))")
    }

    @Test("text is cut into the pieces of Qwen2's pattern")
    func pieces() {
        #expect(
            PieceScanner.pieces(of: "it's 12 IT'S  x\r\n\r\n  y!!\n") == [
                "it", "'s", " ", "1", "2", " IT", "'S", " ", " x", "\r\n\r\n", " ", " y", "!!\n",
            ]
        )
        #expect(PieceScanner.pieces(of: "").isEmpty)
    }
}
