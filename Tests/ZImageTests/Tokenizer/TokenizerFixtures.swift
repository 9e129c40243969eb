// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Testing

/// The files of `Tests/Fixtures/tokenizer` and the generator that they share with
/// `make_tokenizer_fixtures.py`.
struct TokenizerFixtures {
    /// The repository's root.
    static let root = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    /// The embedded model's tokenizer.
    static let embedded = root.appending(path: "Models/emoji-nano/tokenizer")

    let groups: [[String]]
    let addedTokens: [String]
    private let ranges: [ClosedRange<UInt32>]
    private let marks: [ClosedRange<UInt32>]

    init() throws {
        struct File: Decodable {
            struct Group: Decodable { let texts: [String] }
            let groups: [Group]
            let addedTokens: [String]
            let ranges: [String]
            let marks: [String]
        }
        let file = try JSONDecoder().decode(File.self, from: Self.data("fragments.json"))
        func range(_ text: String) throws -> ClosedRange<UInt32> {
            let ends = try text.split(separator: "-").map { try #require(UInt32($0, radix: 16)) }
            return try #require(ends.first)...#require(ends.last)
        }
        groups = file.groups.map(\.texts)
        addedTokens = file.addedTokens
        ranges = try file.ranges.map(range)
        marks = try file.marks.map(range)
    }

    // MARK: - Files

    static func data(_ name: String) throws -> Data {
        try Data(contentsOf: root.appending(path: "Tests/Fixtures/tokenizer/\(name)"))
    }

    /// A file of 32-bit hashes.
    static func hashes(_ name: String) throws -> [UInt32] {
        let bytes = [UInt8](try data(name))
        return stride(from: 0, to: bytes.count, by: 4).map { start in
            (0..<4).reduce(0) { $0 | UInt32(bytes[start + $1]) << UInt32(8 * $1) }
        }
    }

    // MARK: - Texts

    /// Fragments, any scalars and ASCII, put together.
    func string(_ number: Int) -> String {
        var random = SplitMix(state: UInt64(number))
        let parts = number % 500 == 499 ? 150 : random.below(9)
        var text = ""
        for _ in 0..<parts {
            switch random.below(8) {
            case 0..<5:
                let group = groups[random.below(groups.count)]
                text += group[random.below(group.count)]
            case 5:
                let value = UInt32(random.below(0x110000 - 0x800))
                Self.append(value >= 0xD800 ? value + 0x800 : value, to: &text)
            case 6:
                for _ in 0..<1 + random.below(4) {
                    Self.append(Self.scalar(&random, ranges), to: &text)
                }
            default:
                for _ in 0..<1 + random.below(12) {
                    Self.append(UInt32(random.below(128)), to: &text)
                }
            }
            if random.below(2) == 0 { text += " " }
        }
        return text
    }

    /// Random bytes, most of them from the middle of longer scalars.
    func bytes(_ number: Int) -> [UInt8] {
        var random = SplitMix(state: UInt64(1_000_000 + number))
        let likely: [UInt8] = [
            0xF0, 0x9F, 0x91, 0xA9, 0xE2, 0x80, 0x8D, 0xC3, 0xA9, 0xED, 0xA0, 0xCC, 0x81, 0x20,
            0x27,
            0x73,
        ]
        return (0..<random.below(48)).map { _ in
            random.below(3) > 0
                ? likely[random.below(likely.count)] : UInt8(random.below(256))
        }
    }

    /// A run of scalars that NFC has work with.
    func marks(_ number: Int) -> String {
        var random = SplitMix(state: UInt64(2_000_000 + number))
        var text = ""
        for _ in 0..<1 + random.below(12) { Self.append(Self.scalar(&random, marks), to: &text) }
        return text
    }

    static func append(_ scalar: UInt32, to text: inout String) {
        if let scalar = Unicode.Scalar(scalar) { text.unicodeScalars.append(scalar) }
    }

    private static func scalar(
        _ random: inout SplitMix,
        _ ranges: [ClosedRange<UInt32>]
    ) -> UInt32 {
        let range = ranges[random.below(ranges.count)]
        return range.lowerBound + UInt32(random.below(range.count))
    }

    // MARK: - Hashes

    static func hash(_ bytes: some Sequence<UInt8>) -> UInt32 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return UInt32(truncatingIfNeeded: hash ^ hash >> 32)
    }

    static func hash(_ ids: [Int32]) -> UInt32 {
        hash(ids.flatMap { id in (0..<4).map { UInt8(truncatingIfNeeded: id >> (8 * $0)) } })
    }
}

/// The generator SplitMix64.
struct SplitMix {
    var state: UInt64

    mutating func below(_ bound: Int) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
        return Int((word ^ word >> 31) % UInt64(bound))
    }
}
