// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Tensors

extension LoadedLoRA {
    /// Thin matrices of random numbers beside the products of a model's transformer whose names begin
    /// with `prefix`, to time them.
    convenience init(
        randomOf rank: Int, prefix: String = "", model: ModelDirectory, device: Device
    ) throws {
        let store = try model.transformerStore()
        var generator = TorchGenerator(seed: 7)
        var adapters: [String: Device.Adapter] = [:]
        for layer in ModelLayer.all(of: model) where layer.key.hasPrefix(prefix) {
            let shapes = layer.tensors.compactMap { store[$0]?.shape }
            guard shapes.count == layer.tensors.count, let depth = shapes.first?.last else {
                continue
            }
            var source = AdapterSource(
                parts: shapes.map { $0[0] }, depth: depth, layout: layer.layout)
            var start = 0
            for shape in shapes {
                source.lowRank.append(
                    .init(
                        outputs: start..<(start + shape[0]), rank: rank,
                        down: generator.normals(max(16, rank * depth)).prefix(rank * depth).map {
                            $0 * 0.01
                        },
                        up: generator.normals(max(16, rank * shape[0])).prefix(rank * shape[0]).map
                        { $0 * 0.01 }))
                start += shape[0]
            }
            adapters[layer.key] = device.makeAdapter(
                source, precision: layer.isSensitive ? .f32 : device.precision)
        }
        self.init(
            adapters: adapters,
            report: LoRAReport(
                name: "random", scale: 1, matched: 0, matchedKeys: 0, unmatched: [], unused: []),
            uses: [.caption, .modulation, .step], device: device)
    }
}
