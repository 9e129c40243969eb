// Part of Inkstone. Licence: see LICENSE.

public import Foundation

/// A LoRA file and its scale.
public struct LoRASource: Sendable, Equatable {
    /// The file.
    public var url: URL
    /// 1 applies the file as it was trained, 0 not at all; negative numbers invert it.
    public var scale: Double
    /// The scale of its changes of the text encoder; `nil` if it is ``scale``.
    public var textScale: Double?

    /// Creates a source from the file at `url` with the given scales.
    public init(url: URL, scale: Double = 1, textScale: Double? = nil) {
        self.url = url
        self.scale = scale
        self.textScale = textScale
    }

    /// Returns the display name of a file: its name without the extension.
    package static func name(of file: Substring) -> String {
        let ending = ".safetensors"
        return String(file.hasSuffix(ending) ? file.dropLast(ending.count) : file)
    }
}
