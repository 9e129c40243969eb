// Part of Inkstone. Licence: see LICENSE.

#if canImport(FoundationEssentials)
    public import FoundationEssentials
#else
    public import Foundation
#endif

/// A LoRA file and its strength.
public struct LoRASource: Sendable, Equatable {
    /// The file.
    public var url: URL
    /// 1 applies the file as it was trained; 0 not at all; negative numbers the other way.
    public var scale: Double

    /// The file at `url` with the given strength.
    public init(url: URL, scale: Double = 1) {
        self.url = url
        self.scale = scale
    }

    /// A file's name as people say it: without its ending.
    package static func name(of file: Substring) -> String {
        let ending = ".safetensors"
        return String(file.hasSuffix(ending) ? file.dropLast(ending.count) : file)
    }
}
