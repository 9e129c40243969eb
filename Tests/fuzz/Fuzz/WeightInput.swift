// Part of Inkstone. Licence: see LICENSE.

import Catalog
import Foundation
import ModelFiles
import ZImage

/// Files of weights and manifests as inputs. The parsers map files, so that each input is written to one.
enum WeightInput {
    /// Numbers of a tensor that are decoded.
    private static let numbersToDecode = 1 << 12

    /// Reads all tensors of a file, and those of a quantised file through its scales.
    static func readSafetensors(_ bytes: [UInt8]) {
        withFile(bytes) { url in
            if let file = try? SafetensorsFile(url: url) {
                for name in file.tensors.keys { decode(file.tensor(named: name)) }
            }
            decodePreview(url)
        }
    }

    /// Reads metadata and tensors of a GGUF file.
    static func readGGUF(_ bytes: [UInt8]) {
        withFile(bytes) { url in
            if let file = try? GGUFFile(url: url) {
                for name in file.names { decode(file.tensor(named: name)) }
                _ = file.texts("tokenizer.ggml.tokens")
                _ = file.integers("tokenizer.ggml.token_type")
                _ = file.string("general.architecture")
            }
            decodePreview(url)
        }
    }

    /// Matches the keys of a LoRA file with the layers of the embedded model, as an upload does.
    static func matchLoRA(_ bytes: [UInt8]) {
        withFile(bytes) { url in
            _ = try? LoRAFacts(of: url)
            _ = try? LoRAFile(url: url).contents(for: targets)
        }
    }

    /// Reads `inkstone.json`.
    static func readManifest(_ bytes: [UInt8]) {
        withFile(bytes) { url in
            guard let file = try? ManifestFile(contentsOf: url) else { return }
            _ = file.loraScales
            let fallback = ModelManifest(kind: .turbo, id: "model", latentChannels: 16)
            _ = try? ModelManifest(file, fallback: fallback, latentChannels: 16)
        }
    }

    private static func decodePreview(_ url: URL) {
        guard let store = try? TensorStore(previewFile: url) else { return }
        for name in store.names { decode(store[name]) }
    }

    private static func decode(_ tensor: StoredTensor?) {
        guard let tensor else { return }
        _ = try? tensor.floats(in: 0..<min(tensor.count, numbersToDecode))
        if tensor.count <= numbersToDecode { _ = try? tensor.int32s() }
    }

    private static let targets: LoRATargets = {
        guard let folder = ProcessInfo.processInfo.environment["INKSTONE_FUZZ_MODEL"],
            let model = try? ModelDirectory(url: URL(filePath: folder)),
            let targets = try? LoRATargets(model: model)
        else { fatalError("INKSTONE_FUZZ_MODEL is not the folder of a model") }
        return targets
    }()

    // MARK: The file

    private static let path = "/dev/shm/inkstone-fuzz-\(getpid())"

    private static func withFile(_ bytes: [UInt8], _ read: (URL) -> Void) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        guard descriptor >= 0, write(descriptor, bytes, bytes.count) == bytes.count else {
            fatalError("\(path) cannot be written")
        }
        close(descriptor)
        defer { unlink(path) }
        read(URL(filePath: path))
    }
}
