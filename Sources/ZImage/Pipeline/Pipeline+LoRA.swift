// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import Tensors

extension Pipeline {
    /// Loads the files of an image, packed for the device.
    ///
    /// - Throws: `LoRAError`.
    func stack(
        of loras: [LoRASource]
    ) throws(LoRAError) -> (LoRAStack<Device>, [LoRAReport]) {
        var items: [(lora: LoadedLoRA<Device>, scale: Double, textScale: Double?)] = []
        var reports: [LoRAReport] = []
        for lora in loras {
            do {
                let loaded = try load(lora.url)
                items.append((loaded, lora.scale, lora.textScale))
                var report = loaded.report
                report.scale = lora.scale
                report.textScale = lora.textScale
                reports.append(report)
            } catch {
                // The path is not exposed to clients.
                throw LoRAError(
                    message: "\(error)".replacing(
                        lora.url.path, with: lora.url.lastPathComponent))
            }
        }
        return (LoRAStack(items), reports)
    }

    private func load(_ url: URL) throws -> LoadedLoRA<Device> {
        func loader(_ name: String) -> WeightLoader<Device> {
            textWeights.store[name] == nil ? imageWeights : textWeights
        }
        return try loraCache.lora(at: url) { file in
            try LoadedLoRA(
                file, targets: loraTargets, layers: try model.linearLayers(),
                isText: { textWeights.store[$0] != nil },
                weights: { try loader($0).merged($0) }, device: device)
        }
    }

    /// Returns which keys of the files matched a layer.
    package func reports(of loras: [LoRASource]) throws -> [LoRAReport] {
        try stack(of: loras).1
    }
}

/// A LoRA file that cannot be used.
package struct LoRAError: Error, Sendable, CustomStringConvertible {
    /// One or two sentences: what was expected, what was found, what to do.
    package let message: String
    /// The message.
    package var description: String { message }
}
