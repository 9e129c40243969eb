// Part of Inkstone. Licence: see LICENSE.

/// The decompositions, compositions and combining classes behind NFC.
struct CompositionTables: Sendable {
    static let shared = CompositionTables()

    /// Full canonical decompositions; for Hangul syllables see `Hangul`.
    let decompositions: [UInt32: [UInt32]]
    /// Combining classes other than zero.
    let classes: [UInt32: UInt8]
    /// Composites by `first << 32 | second`.
    let composites: [UInt64: UInt32]
    /// Scalars that composition cannot skip: see `ScalarClass.unstable`.
    let unstableScalars: Set<UInt32>

    private init() {
        var classes: [UInt32: UInt8] = [:]
        var reader = HexReader(UnicodeTables.combiningClasses)
        while let value = reader.number(), reader.consume(":"), let range = reader.range() {
            for scalar in range { classes[scalar] = UInt8(truncatingIfNeeded: value) }
        }

        var pairs: [UInt32: (first: UInt32, second: UInt32)] = [:]
        var composites: [UInt64: UInt32] = [:]
        reader = HexReader(UnicodeTables.compositions)
        while let composite = reader.number(), reader.consume("="), let first = reader.number(),
            reader.consume("+"), let second = reader.number()
        {
            pairs[composite] = (first, second)
            composites[Self.key(first, second)] = composite
        }

        var decompositions: [UInt32: [UInt32]] = [:]
        for composite in pairs.keys {
            // The first half can be a composite itself, at most three deep.
            var tail: [UInt32] = []
            var head = composite
            while let pair = pairs[head] {
                tail.append(pair.second)
                head = pair.first
            }
            decompositions[composite] = [head] + tail.reversed()
        }
        var unstable = Set(classes.keys).union(pairs.values.map(\.second))
        reader = HexReader(UnicodeTables.replacements)
        while let scalar = reader.number(), reader.consume("="), let first = reader.number() {
            var full = [first]
            while reader.consume("+"), let next = reader.number() { full.append(next) }
            decompositions[scalar] = full
            unstable.insert(scalar)
        }
        unstable.formUnion(Hangul.vowels)
        unstable.formUnion(Hangul.trailing)
        for (scalar, full) in decompositions where unstable.contains(full[0]) {
            unstable.insert(scalar)
        }

        self.classes = classes
        self.composites = composites
        self.decompositions = decompositions
        unstableScalars = unstable
    }

    /// Returns the composite of two scalars, if there is one.
    func composite(_ first: UInt32, _ second: UInt32) -> UInt32? {
        Hangul.composite(first, second) ?? composites[Self.key(first, second)]
    }

    private static func key(_ first: UInt32, _ second: UInt32) -> UInt64 {
        UInt64(first) << 32 | UInt64(second)
    }
}

/// The arithmetic of Hangul syllables.
///
/// - Source: The Unicode Standard, section 3.12, "Conjoining Jamo Behavior".
enum Hangul {
    static let leading: ClosedRange<UInt32> = 0x1100...0x1112
    static let vowels: ClosedRange<UInt32> = 0x1161...0x1175
    static let trailing: ClosedRange<UInt32> = 0x11A8...0x11C2
    static let syllables: ClosedRange<UInt32> = 0xAC00...0xD7A3

    /// Trailing consonants, and none.
    private static let trailingCount: UInt32 = 28

    /// The two or three jamo of a syllable.
    static func decomposition(_ syllable: UInt32) -> [UInt32]? {
        guard syllables.contains(syllable) else { return nil }
        let index = syllable - syllables.lowerBound
        let trail = index % trailingCount
        let block = index / trailingCount
        let pair = [
            leading.lowerBound + block / UInt32(vowels.count),
            vowels.lowerBound + block % UInt32(vowels.count),
        ]
        return trail == 0 ? pair : pair + [trailing.lowerBound + trail - 1]
    }

    /// The syllable of a leading consonant and a vowel, or of an open syllable and a trailing one.
    static func composite(_ first: UInt32, _ second: UInt32) -> UInt32? {
        if leading.contains(first), vowels.contains(second) {
            let block =
                (first - leading.lowerBound) * UInt32(vowels.count) + second - vowels.lowerBound
            return syllables.lowerBound + block * trailingCount
        }
        guard syllables.contains(first), trailing.contains(second),
            (first - syllables.lowerBound) % trailingCount == 0
        else { return nil }
        return first + second - trailing.lowerBound + 1
    }
}
