// Part of Inkstone. Licence: see LICENSE.

/// Text metadata of an image file.
///
/// PNG stores every entry (as `tEXt` or `iTXt`). JPEG and WebP store one text, the Exif user
/// comment, so only ``parameters`` is written there, where clients that read generation
/// parameters expect it.
public struct ImageMetadata: Sendable, Equatable {
    /// One named text.
    public struct Entry: Sendable, Equatable {
        /// The name, for PNG 1 to 79 Latin-1 characters.
        public var key: String
        /// The text.
        public var text: String

        /// Creates an entry.
        public init(key: String, text: String) {
            self.key = key
            self.text = text
        }
    }

    /// The key of the text of ``GenerationParameters``.
    public static let parametersKey = "parameters"

    /// All entries, in file order.
    public var entries: [Entry]

    /// Creates metadata with the given entries.
    public init(entries: [Entry] = []) {
        self.entries = entries
    }

    /// Creates metadata with the text of generation parameters.
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

    /// The text of the generation parameters, in the format of other programs.
    public var parameters: String? {
        get { self[Self.parametersKey] }
        set { self[Self.parametersKey] = newValue }
    }
}
