// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation

/// A file of weights in any supported container: its tensors, with their codings.
struct WeightFile {
    /// Location of the file.
    let url: URL
    /// Tensors by the names in the file; scales are part of the tensors that they scale.
    let tensors: [String: StoredTensor]
    /// The metadata of a GGUF file.
    let gguf: GGUFFile?
    /// Identifies this file.
    let identity: String

    /// File name suffixes of containers.
    static let suffixes = [".safetensors", ".gguf"]

    /// Whether a file name has the suffix of a container.
    static func isNamed(_ name: String) -> Bool {
        suffixes.contains { name.lowercased().hasSuffix($0) }
    }

    /// Opens a file; its content decides on the container, not its name.
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
