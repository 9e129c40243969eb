// Part of Inkstone. Licence: see LICENSE.

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A file of weights in whatever container: its tensors, ready to be decoded.
struct WeightFile {
    /// Where it was opened.
    let url: URL
    /// Tensors by the file's own names; scales are already part of what they scale.
    let tensors: [String: StoredTensor]
    /// The file's description, where it is a GGUF file.
    let gguf: GGUFFile?
    /// Tells this file from every other.
    let identity: String

    /// What containers are named.
    static let suffixes = [".safetensors", ".gguf"]

    /// Whether a file's name says that it holds weights.
    static func isNamed(_ name: String) -> Bool {
        suffixes.contains { name.lowercased().hasSuffix($0) }
    }

    /// Opens a file by what it holds, not by its name.
    ///
    /// - Throws: `CheckpointError`.
    init(_ url: URL) throws(CheckpointError) {
        self.url = url
        if try Self.isGGUF(url) {
            let file = try GGUFFile(url: url)
            gguf = file
            identity = file.identity
            tensors = Dictionary(
                uniqueKeysWithValues: file.names.compactMap { name in
                    file.tensor(named: name).map { (name, $0) }
                })
        } else {
            let file = try SafetensorsFile(url: url)
            gguf = nil
            identity = file.identity
            var plain: [String: StoredTensor] = [:]
            for name in file.tensors.keys { plain[name] = file.tensor(named: name) }
            tensors = try QuantizedTensors(
                plain, metadata: file.metadata, source: url.path.quoted
            ).joined()
        }
    }

    private static func isGGUF(_ url: URL) throws(CheckpointError) -> Bool {
        let file = try MappedFile(url)
        // The bytes are gone with the object, which nothing else here keeps.
        return withExtendedLifetime(file) { file.bytes.starts(with: "GGUF".utf8) }
    }
}
