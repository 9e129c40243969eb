// Part of Inkstone. Licence: see LICENSE.

import Basics

/// A LoRA file, named without its folder and ending, and the scale that it is applied with.
public struct LoRAScale: Sendable, Codable, Equatable {
    /// Name of the file without `.safetensors`.
    public var name: String
    /// 1 applies the file as it was trained; 0 not at all; negative numbers the other way.
    public var scale: Double
    /// The scale of its changes of the text encoder; `nil` if it is ``scale``.
    public var textScale: Double?

    private enum CodingKeys: String, CodingKey {
        case name, scale
        case textScale = "text_scale"
    }

    /// Names a file and its scales.
    public init(_ name: String, scale: Double = 1, textScale: Double? = nil) {
        self.name = name
        self.scale = scale
        self.textScale = textScale == scale ? nil : textScale
    }

    /// What ``isName(_:)`` asks for, for a message.
    public static let nameRule =
        "1 to 200 characters without / \\ < > : and without a dot at its beginning"

    /// Whether `text` can name a file in a folder of LoRA files, and nothing else.
    public static func isName(_ text: String) -> Bool {
        let scalars = text.unicodeScalars
        return (1...200).contains(scalars.count) && scalars.first != "."
            && scalars.allSatisfy {
                !$0.breaksLine && $0 != "/" && $0 != "\\" && $0 != "<" && $0 != ">" && $0 != ":"
            }
    }
}
