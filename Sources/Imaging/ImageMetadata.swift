// Part of Inkstone. Licence: see LICENSE.

/// Named texts that travel inside an image file.
///
/// PNG keeps every entry (as `tEXt` or `iTXt`). JPEG and WebP have room for one text, the Exif
/// user comment, so only ``parameters`` is written there: that is also where the clients that
/// read generation parameters look.
public struct ImageMetadata: Sendable, Equatable {
    /// One named text.
    public struct Entry: Sendable, Equatable {
        /// The name, for PNG 1 to 79 Latin-1 characters.
        public var key: String
        /// The text.
        public var text: String

        /// Makes an entry.
        public init(key: String, text: String) {
            self.key = key
            self.text = text
        }
    }

    /// The key under which image clients keep the text of ``GenerationParameters``.
    public static let parametersKey = "parameters"

    /// All entries, in file order.
    public var entries: [Entry]

    /// Makes metadata of the entries given, or none.
    public init(entries: [Entry] = []) {
        self.entries = entries
    }

    /// Makes metadata that holds the text of generation parameters alone.
    public init(parameters: String) {
        self.init(entries: [Entry(key: Self.parametersKey, text: parameters)])
    }

    /// The text of the first entry with a key; setting replaces it, `nil` removes all of them.
    public subscript(key: String) -> String? {
        get { entries.first { $0.key == key }?.text }
        set {
            guard let newValue else {
                entries.removeAll { $0.key == key }
                return
            }
            if let index = entries.firstIndex(where: { $0.key == key }) {
                entries[index].text = newValue
            } else {
                entries.append(Entry(key: key, text: newValue))
            }
        }
    }

    /// The text that says how the image was made, as other programs write and read it.
    public var parameters: String? {
        get { self[Self.parametersKey] }
        set { self[Self.parametersKey] = newValue }
    }
}
