// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import Testing

/// The description at the start of GGUF files, honest and otherwise.
@Suite struct GGUFFileTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private static let sample = GGUFBuilder(
        values: [
            ("general.architecture", .text("lumina2")), ("number", .integer(7)),
            ("texts", .texts(["a", "", "中"])), ("numbers", .integers([-1, 3])),
            ("comfy.gguf.orig_shape.odd", .integers([4, 16])),
        ],
        tensors: [
            GGUFBuilder.plain("plain", [2, 3], [1, 2, 3, 4, 5, 6]),
            .init(
                name: "blocks", shape: [1, 32], type: 8, bytes: [0, 0x3C] + (0..<32).map { $0 }),
            .init(
                name: "odd", shape: [2, 32], type: 2,
                bytes: [UInt8](repeating: 0x88, count: 36)),
        ])

    private func open(_ builder: GGUFBuilder) throws -> GGUFFile {
        try GGUFFile(url: folder.write(builder.bytes, to: "file.gguf"))
    }

    @Test("values and tensors are found") func reading() throws {
        for version: UInt32 in [2, 3] {
            var builder = Self.sample
            builder.version = version
            let file = try open(builder)
            #expect(file.string("general.architecture") == "lumina2")
            #expect(file.integer("number") == 7 && file.number("number") == 7)
            #expect(file.texts("texts") == ["a", "", "中"].map { Array($0.utf8) })
            #expect(file.integers("numbers") == [-1, 3])
            #expect(file.string("number") == nil && file.integer("absent") == nil)
            #expect(file.names.sorted() == ["blocks", "odd", "plain"])
            let plain = try #require(file.tensor(named: "plain"))
            #expect(plain.shape == [2, 3])
            #expect(try plain.floats() == [1, 2, 3, 4, 5, 6])
            // A scale of one, so that the numbers are the bytes.
            let blocks = try #require(file.tensor(named: "blocks"))
            #expect(try blocks.floats() == (0..<32).map(Float.init))
            #expect(try #require(file.tensor(named: "odd")).shape == [4, 16])
        }
    }

    @Test("another alignment") func alignment() throws {
        var builder = Self.sample
        builder.alignment = 64
        builder.values.append(("general.alignment", .integer(64)))
        #expect(try #require(open(builder).tensor(named: "plain")).floats()[5] == 6)
        for wrong: UInt32 in [0, 3, 1 << 21] {
            builder.values[builder.values.count - 1].1 = .integer(wrong)
            #expect(try failure { try open(builder) }.message.contains("alignment"))
        }
    }

    @Test("types that are not read are named") func foreignType() throws {
        var builder = Self.sample
        for (type, name): (UInt32, String) in [(18, "IQ3_XXS"), (29, "IQ1_M"), (999, "type 999")] {
            builder.tensors[1].type = type
            let error = try failure { try open(builder) }
            #expect(error.code == .unsupported && error.message.contains(name), "\(error)")
        }
    }

    @Test("false sizes are detected") func falseSizes() throws {
        var shape = Self.sample
        shape.tensors[0].shape = [1 << 30, 1 << 30]
        #expect(try failure { try open(shape) }.message.contains("plain"))
        shape.tensors[0].shape = [3, 0]
        #expect(try failure { try open(shape) }.message.contains("plain"))
        shape.tensors[0].shape = [1, 2, 3, 4, 5]
        #expect(try failure { try open(shape) }.message.contains("dimensions"))
        shape = Self.sample
        shape.tensors[1].shape = [1, 33]
        #expect(try failure { try open(shape) }.message.contains("Q8_0"))
        shape = Self.sample
        shape.tensors[0].shape = [20_000, 3]
        #expect(try failure { try open(shape) }.code == .truncated)
        shape = Self.sample
        shape.values[4].1 = .integers([4, 17])
        #expect(try failure { try open(shape) }.message.contains("orig_shape"))
        shape = Self.sample
        shape.tensors[2].name = "plain"
        #expect(try failure { try open(shape) }.message.contains("twice"))
        shape.tensors[2].name = String(repeating: "x", count: 1001)
        #expect(try failure { try open(shape) }.message.contains("1001 bytes"))
        shape = Self.sample
        shape.values.append((String(repeating: "k", count: 1001), .integer(1)))
        #expect(try failure { try open(shape) }.message.contains("1001 bytes"))
        shape = Self.sample
        shape.version = 1
        #expect(try failure { try open(shape) }.message.contains("version"))
        shape.version = UInt32(3).byteSwapped
        #expect(try failure { try open(shape) }.code == .unsupported)
    }

    @Test("lists of lists, tensors that share bytes, and false counts are refused")
    func falseStructure() throws {
        var builder = Self.sample
        builder.values.append(("deep", .nested))
        #expect(try failure { try open(builder) }.message.contains("list of lists"))
        builder = Self.sample
        builder.overlaps = true
        #expect(try failure { try open(builder) }.message.contains("overlaps another"))
        for count in [100_001, .max] {
            builder = Self.sample
            builder.tensorCount = count
            #expect(try failure { try open(builder) }.message.contains("expected at most 100000"))
        }
    }

    @Test("a file that ends anywhere is an error, never a crash") func truncation() throws {
        let whole = Self.sample.bytes
        for length in stride(from: 0, to: whole.count - 64, by: 3) {
            let url = try folder.write(whole[..<length], to: "short.gguf")
            try failure { try GGUFFile(url: url) }
        }
    }

    @Test("two hundred damaged files: an error or numbers, never a crash") func mutations() throws {
        var random = SeededGenerator(seed: 11)
        let whole = Self.sample.bytes
        var opened = 0
        for number in 0..<200 {
            var bytes = whole
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let at = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                case 1: bytes[at] = UInt8.random(in: 0...255, using: &random)
                case 2:
                    let filler: UInt8 = Bool.random(using: &random) ? 0xFF : 0x7F
                    for place in at..<min(at + 8, bytes.count) { bytes[place] = filler }
                default: bytes.remove(at: at)
                }
            }
            let url = try folder.write(bytes, to: "damaged-\(number).gguf")
            do {
                let file = try GGUFFile(url: url)
                for name in file.names {
                    _ = try file.tensor(named: name)?.floats()
                }
                opened += 1
            } catch {
                #expect(!error.description.contains { $0.isNewline })
            }
        }
        // Some changes hit nothing but numbers; were it all, nothing would be proved.
        #expect(opened > 0 && opened < 200)
    }
}
