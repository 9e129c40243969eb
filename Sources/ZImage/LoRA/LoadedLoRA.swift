// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Synchronization
package import Tensors

/// A LoRA file in a device's form, ready to be added beside the weights of a model.
package final class LoadedLoRA<Device: Backend>: Sendable {
    /// No two loads of a process have the same, even of one file.
    let serial: Int
    /// Which keys took part; for strength 1.
    package let report: LoRAReport
    /// By the key of the layer.
    let adapters: [String: Device.Adapter]
    /// Memory taken.
    let bytes: Int
    /// Whether what is made of a prompt depends on it.
    let changesCaptions: Bool
    /// Whether what is made of a time depends on it.
    let changesModulation: Bool

    /// Reads a file; `rows` tells the output features of a stored weight, `weights` its numbers.
    convenience init(
        _ file: LoRAFile, targets: LoRATargets, layers: [ModelLayer], rows: (String) -> Int,
        weights: (String) throws -> [Float], device: Device
    ) throws {
        let contents = try file.contents(for: targets)
        var owners: [String: Int] = [:]
        for (index, layer) in layers.enumerated() {
            for tensor in layer.tensors { owners[tensor] = index }
        }
        let groups = Dictionary(grouping: contents.groups) { owners[$0.names[0]] ?? -1 }
        var adapters: [String: Device.Adapter] = [:]
        var uses: Set<ModelLayer.Use> = []
        // Layer by layer, so that the numbers of one layer at a time are there in f32.
        for (index, layer) in layers.enumerated() {
            guard let own = groups[index] else { continue }
            var source = AdapterSource(
                parts: layer.tensors.map(rows), depth: own[0].depth, layout: layer.layout)
            for group in own {
                for change in try group.changes(on: device, weights: weights) {
                    source.add(change, at: layer.tensors, rows: rows)
                }
            }
            adapters[layer.key] = device.makeAdapter(
                source, precision: layer.isSensitive ? .f32 : device.precision)
            uses.insert(layer.use)
        }
        self.init(adapters: adapters, report: contents.report, uses: uses, device: device)
    }

    /// Adapters that are made already.
    init(
        adapters: [String: Device.Adapter], report: LoRAReport, uses: Set<ModelLayer.Use>,
        device: Device
    ) {
        serial = Serial.next()
        self.report = report
        self.adapters = adapters
        bytes = adapters.values.reduce(0) { $0 + device.bytes(of: $1) }
        changesCaptions = uses.contains(.caption)
        changesModulation = uses.contains(.modulation)
    }
}

/// Numbers the loads of a process.
private enum Serial {
    private static let counter = Atomic(0)

    static func next() -> Int { counter.wrappingAdd(1, ordering: .relaxed).newValue }
}

extension AdapterSource {
    /// Adds a change of some of a layer's weights.
    fileprivate mutating func add(
        _ change: LoRAChange, at tensors: [String], rows: (String) -> Int
    ) {
        let total = parts.reduce(0, +)
        var start = 0
        for tensor in tensors {
            if tensor == change.tensors[0] { break }
            start += rows(tensor)
        }
        let outputs = start..<(start + change.rows)
        if let thin = change.thin {
            lowRank.append(
                .init(outputs: outputs, rank: thin.rank, down: thin.down, up: thin.up))
        }
        func spread(_ own: [Float]?, _ old: [Float]?, width: Int) -> [Float]? {
            guard let own else { return old }
            var all = old ?? [Float](repeating: 0, count: total * width)
            all.replaceSubrange((start * width)..<((start + change.rows) * width), with: own)
            return all
        }
        gain = spread(change.gain, gain, width: 1)
        dense = spread(change.dense, dense, width: depth)
        bias = spread(change.bias, bias, width: 1)
    }
}
