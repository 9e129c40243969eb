// Part of Inkstone. Licence: see LICENSE.

/// The ids of a vocabulary by the bytes of each token's text; used for loading only.
///
/// Keys are bytes: canonically equivalent Swift strings are equal, and hashing normalises them.
struct TokenIndex {
    private var arena: [UInt8] = []
    private var entries: [(start: Int, count: Int, id: Int32)] = []
    /// The number of each token with its hash, so that different texts are rarely compared.
    private var slots: [(hash: UInt32, entry: Int32)]

    init() {
        slots = Array(repeating: (0, -1), count: 1024)
    }

    /// Number of tokens.
    var count: Int { entries.count }

    /// Adds a token; returns `false` if its text exists already.
    mutating func insert(_ text: [UInt8], id: Int32) -> Bool {
        if entries.count * 2 >= slots.count { grow() }
        let hash = Self.hash(text[...])
        let slot = slot(text[...], hash)
        guard slots[slot].entry < 0 else { return false }
        slots[slot] = (hash, Int32(entries.count))
        entries.append((arena.count, text.count, id))
        arena += text
        return true
    }

    /// Returns the id of a token.
    func find(_ text: ArraySlice<UInt8>) -> Int32? {
        let entry = slots[slot(text, Self.hash(text))].entry
        return entry < 0 ? nil : entries[Int(entry)].id
    }

    /// Returns the slot of a text, or the free slot where it can be inserted.
    private func slot(_ text: ArraySlice<UInt8>, _ hash: UInt32) -> Int {
        let mask = slots.count - 1
        var slot = Int(hash) & mask
        while slots[slot].entry >= 0 {
            if slots[slot].hash == hash {
                let entry = entries[Int(slots[slot].entry)]
                if entry.count == text.count,
                    arena[entry.start..<(entry.start + entry.count)].elementsEqual(text)
                {
                    break
                }
            }
            slot = (slot + 1) & mask
        }
        return slot
    }

    private mutating func grow() {
        let old = slots
        slots = Array(repeating: (0, -1), count: old.count * 2)
        let mask = slots.count - 1
        for item in old where item.entry >= 0 {
            var slot = Int(item.hash) & mask
            while slots[slot].entry >= 0 { slot = (slot + 1) & mask }
            slots[slot] = item
        }
    }

    /// FNV-1a, folded to 32 bits.
    private static func hash(_ text: ArraySlice<UInt8>) -> UInt32 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in text { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return UInt32(truncatingIfNeeded: hash ^ hash >> 32)
    }
}
