// Part of Inkstone. Licence: see LICENSE.

/// Tokens outside the vocabulary's merges, which are split off the raw text.
struct AddedTokens: Sendable {
    /// Ids by the token's text.
    let ids: [[UInt8]: Int32]
    /// For each first byte, the tokens that begin with it, longest first.
    private let byFirstByte: [[(text: [UInt8], id: Int32)]]

    /// - Parameter ids: Ids by text; no text is empty.
    init(ids: [[UInt8]: Int32]) {
        self.ids = ids
        var table = [[(text: [UInt8], id: Int32)]](repeating: [], count: 256)
        for (text, id) in ids { table[Int(text[0])].append((text, id)) }
        byFirstByte = table.map { $0.sorted { $0.text.count > $1.text.count } }
    }

    /// Returns the id of the token with this text.
    subscript(text: String) -> Int32? {
        ids[Array(text.utf8)]
    }

    /// Returns the longest token that begins at `index`.
    func match(_ bytes: borrowing Span<UInt8>, at index: Int) -> (length: Int, id: Int32)? {
        for (text, id) in byFirstByte[Int(bytes[index])] where text.count <= bytes.count - index {
            if text.indices.allSatisfy({ text[$0] == bytes[index + $0] }) {
                return (text.count, id)
            }
        }
        return nil
    }
}
