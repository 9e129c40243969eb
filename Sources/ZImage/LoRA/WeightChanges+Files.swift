// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import Tensors

extension WeightChanges {
    /// Reads LoRA files that are merged into a model's weights when it is loaded.
    ///
    /// - Parameters:
    ///   - loras: the files and their scales, in the order in which they are applied.
    ///   - model: the model whose weights are changed.
    ///   - targets: the weights that a LoRA can change.
    ///   - device: computes full-rank changes.
    /// - Returns: the changes, and for each file which of its keys matched.
    /// - Throws: `CheckpointError` for a file that cannot be read or merged.
    static func reading<Device: Backend>(
        _ loras: [LoRASource], for model: ModelDirectory, targets: LoRATargets, on device: Device
    ) throws -> (changes: WeightChanges, reports: [LoRAReport]) {
        var changes = WeightChanges()
        var reports: [LoRAReport] = []
        if loras.isEmpty { return (changes, reports) }
        let text = try model.textEncoderStore()
        let stores = [try model.transformerStore(), text]
        func tensor(_ name: String) throws -> StoredTensor {
            guard let found = stores.lazy.compactMap({ $0[name] }).first else {
                throw CheckpointError(code: .missingTensor, message: "tensor '\(name)' is missing.")
            }
            return found
        }
        for lora in loras {
            let contents = try LoRAFile(url: lora.url).contents(for: targets)
            for group in contents.groups {
                let own = try group.changes(on: device) { try tensor($0).floats() }
                for change in own where change.bias != nil {
                    for name in change.tensors
                    where !stores.contains(where: {
                        $0[name.dropLast("weight".count) + "bias"] != nil
                    }) {
                        throw CheckpointError(
                            code: .unsupported,
                            message: "LoRA file \(lora.url.lastPathComponent) adds a bias to"
                                + " '\(name)', which has none, so that it cannot be merged.",
                            remedy: "Name the file in requests instead.")
                    }
                }
                let isText = group.names.contains { text[$0] != nil }
                let scale = isText ? lora.textScale ?? lora.scale : lora.scale
                changes.add(own, scale: scale) { (try? tensor($0))?.shape.first ?? 0 }
            }
            var report = contents.report
            report.scale = lora.scale
            report.textScale = lora.textScale
            reports.append(report)
        }
        return (changes, reports)
    }
}
