// Part of Inkstone. Licence: see LICENSE.

/// An added token as `tokenizer.json` and `tokenizer_config.json` describe it.
struct AddedTokenRecord: Decodable {
    /// `nil` in files that use the id as the key.
    let id: Int?
    let content: String
    let singleWord: Bool?
    let lstrip: Bool?
    let rstrip: Bool?
    let normalized: Bool?

    private enum CodingKeys: String, CodingKey {
        case id, content, lstrip, rstrip, normalized
        case singleWord = "single_word"
    }

    /// Refuses a token that cannot be matched as plain text.
    func check(file: String) throws(TokenizerError) {
        guard !content.isEmpty else {
            throw .malformed("\(file) has an added token without text.")
        }
        let flags = [
            ("single_word", singleWord), ("lstrip", lstrip), ("rstrip", rstrip),
            ("normalized", normalized),
        ]
        for (name, value) in flags where value == true {
            throw .unsupported(
                "\(file) has the added token '\(content)' with \(name), expected it without."
            )
        }
    }
}
