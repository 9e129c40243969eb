// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Tensors

extension LoadedLoRA {
    /// Creates random low-rank adapters for the linear layers of the transformer whose names begin with
    /// `prefix`, for timing.
    convenience init(
        randomOf rank: Int, prefix: String = "", model: ModelDirectory, device: Device
    ) throws {
        var generator = TorchGenerator(seed: 7)
        var adapters: [String: Device.Adapter] = [:]
        for layer in try model.transformerSpec().linears where layer.key.hasPrefix(prefix) {
            let depth = layer.inputs
            var source = AdapterSource(
                parts: layer.parts.map(\.outputs), depth: depth, layout: layer.layout)
            func noise(_ count: Int) -> [Float] {
                generator.normals(max(16, count)).prefix(count).map { $0 }
            }
            var start = 0
            for part in layer.parts {
                source.lowRank.append(
                    .init(
                        outputs: start..<(start + part.outputs), rank: rank,
                        down: noise(rank * depth).map { $0 * 0.01 },
                        up: noise(rank * part.outputs).map { $0 * 0.01 }))
                start += part.outputs
            }
            adapters[layer.key] = device.makeAdapter(
                source, precision: layer.precision(on: device))
        }
        self.init(
            adapters: adapters,
            report: LoRAReport(
                name: "random", scale: 1, matched: 0, matchedKeys: 0, unmatched: [], unused: []),
            stages: [.caption, .modulation, .step], device: device)
    }
}
