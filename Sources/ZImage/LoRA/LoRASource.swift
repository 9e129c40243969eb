// Part of Inkstone. Licence: see LICENSE.

public import Foundation

/// A LoRA file and its scale.
public struct LoRASource: Sendable, Equatable {
    /// The file.
    public var url: URL
    /// 1 applies the file as it was trained, 0 not at all; negative numbers invert it.
    public var scale: Double

    /// Creates a source from the file at `url` with the given scale.
    public init(url: URL, scale: Double = 1) {
        self.url = url
        self.scale = scale
    }

    /// Returns the display name of a file: its name without the extension.
    package static func name(of file: Substring) -> String {
        let ending = ".safetensors"
        return String(file.hasSuffix(ending) ? file.dropLast(ending.count) : file)
    }
}
