// Part of Inkstone. Licence: see LICENSE.

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
                $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) && $0 != "/" && $0 != "\\"
                    && $0 != "<" && $0 != ">" && $0 != ":" && $0.value != 0x2028
                    && $0.value != 0x2029
            }
    }

    /// Returns a name in quotation marks as error messages show it: at most 80 characters, control
    /// characters as spaces.
    public static func quoted(_ name: String) -> String {
        let scalars = name.unicodeScalars.prefix(80).map {
            $0.value < 0x20 || (0x7F...0x9F).contains($0.value) ? " " : String($0)
        }
        return "'\(scalars.joined())'"
    }
}
