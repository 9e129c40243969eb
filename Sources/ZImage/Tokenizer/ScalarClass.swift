// Part of Inkstone. Licence: see LICENSE.

/// Properties of a scalar that the split pattern and NFC need.
struct ScalarClass: OptionSet, Sendable {
    let rawValue: UInt8

    /// Matched by `\p{L}`.
    static let letter = ScalarClass(rawValue: 1)
    /// Matched by `\p{N}`.
    static let number = ScalarClass(rawValue: 2)
    /// Matched by `\s`.
    static let space = ScalarClass(rawValue: 4)
    /// NFC can replace it, reorder it, or compose it with the preceding scalar.
    static let unstable = ScalarClass(rawValue: 8)

    /// The class of a scalar.
    @inline(__always)
    static func of(_ scalar: UInt32) -> ScalarClass {
        scalar < tableEnd ? table[Int(scalar)] : []
    }

    /// No scalar from here on is in any class; the script that makes the tables checks this.
    private static let tableEnd: UInt32 = 0x34000

    /// One byte for each scalar, so that a lookup is a single load; 208 KiB.
    private static let table: [ScalarClass] = {
        var table = [ScalarClass](repeating: [], count: Int(tableEnd))
        let classes: [(ScalarClass, String)] = [
            (.letter, UnicodeTables.letters), (.number, UnicodeTables.numbers),
            (.space, UnicodeTables.spaces),
        ]
        for (kind, words) in classes {
            var reader = HexReader(words)
            while let range = reader.range() {
                for scalar in range { table[Int(scalar)].insert(kind) }
            }
        }
        for scalar in CompositionTables.shared.unstableScalars {
            table[Int(scalar)].insert(.unstable)
        }
        return table
    }()
}
