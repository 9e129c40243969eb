// Part of Inkstone. Licence: see LICENSE.

/// A LoRA file by its name, and its strength.
public struct LoRAChoice: Sendable, Codable, Equatable {
    /// Name of the file without `.safetensors`.
    public var name: String
    /// 1 applies the file as it was trained; 0 not at all; negative numbers the other way.
    public var scale: Double

    /// The file of the given name and strength.
    public init(_ name: String, scale: Double = 1) {
        self.name = name
        self.scale = scale
    }

    /// Whether a text can be the name of a file in a folder of LoRA files, and of nothing else.
    public static func isName(_ text: String) -> Bool {
        let scalars = text.unicodeScalars
        return (1...128).contains(scalars.count) && scalars.first != "."
            && scalars.allSatisfy {
                $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) && $0 != "/" && $0 != "\\"
                    && $0 != "<" && $0 != ">" && $0 != ":" && $0.value != 0x2028
                    && $0.value != 0x2029
            }
    }
}

/// What a LoRA file did to a picture.
public struct LoRANote: Sendable, Codable, Equatable {
    /// Name of the file.
    public var name: String
    /// Strength.
    public var scale: Double
    /// Weights that were changed.
    public var matched: Int
    /// Keys that belong to no layer of the model.
    public var unmatched: Int
    /// Keys that belong to a layer and changed nothing.
    public var unused: Int
    /// What the user should know, if anything.
    public var warning: String?

    /// All fields.
    public init(
        name: String, scale: Double, matched: Int, unmatched: Int = 0, unused: Int = 0,
        warning: String? = nil
    ) {
        self.name = name
        self.scale = scale
        self.matched = matched
        self.unmatched = unmatched
        self.unused = unused
        self.warning = warning
    }
}
