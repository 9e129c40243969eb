// Part of Inkstone. Licence: see LICENSE.

import Basics

/// A LoRA file, named without its folder and ending, and the scale that it is applied with.
public struct LoRAScale: Sendable, Codable, Equatable {
    /// Name of the file without `.safetensors`.
    public var name: String
    /// 1 applies the file as it was trained; 0 not at all; negative numbers the other way.
    public var scale: Double

    /// Names a file and its scale.
    public init(_ name: String, scale: Double = 1) {
        self.name = name
        self.scale = scale
    }

    /// Whether `text` can name a file in a folder of LoRA files, and nothing else.
    public static func isName(_ text: String) -> Bool {
        let scalars = text.unicodeScalars
        return (1...128).contains(scalars.count) && scalars.first != "."
            && scalars.allSatisfy {
                !$0.breaksLine && $0 != "/" && $0 != "\\" && $0 != "<" && $0 != ">" && $0 != ":"
            }
    }
}
