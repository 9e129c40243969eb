// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Synchronization
package import Tensors

/// A LoRA file packed for a device, to be added to the products of a model whose weights stay as they
/// are.
package final class LoadedLoRA<Device: Backend>: Sendable {
    /// Unique for each load in a process, even of the same file.
    let serial: Int
    /// Which keys matched a layer; for scale 1.
    package let report: LoRAReport
    /// By the key of the layer.
    let adapters: [String: Device.Adapter]
    /// Keys of the layers of the text encoder among them.
    let textLayers: Set<String>
    /// Memory taken.
    let bytes: Int
    /// Whether captions depend on it.
    let changesCaptions: Bool
    /// Whether modulations depend on it.
    let changesModulation: Bool

    /// Reads a file.
    ///
    /// - Parameters:
    ///   - file: the file.
    ///   - targets: the weights that a LoRA can change.
    ///   - layers: the linear layers of the model.
    ///   - isText: whether a stored weight belongs to the text encoder.
    ///   - weights: returns the numbers of a stored weight.
    ///   - device: holds the adapters.
    /// - Throws: `CheckpointError`.
    convenience init(
        _ file: LoRAFile, targets: LoRATargets, layers: [LinearSpec], isText: (String) -> Bool,
        weights: (String) throws -> [Float], device: Device
    ) throws {
        let contents = try file.contents(for: targets)
        var owners: [String: Int] = [:]
        for (index, layer) in layers.enumerated() {
            for weight in layer.weights { owners[weight] = index }
        }
        let groups = Dictionary(grouping: contents.groups) { owners[$0.names[0]] ?? -1 }
        var adapters: [String: Device.Adapter] = [:]
        var stages: Set<LinearSpec.Stage> = []
        var textLayers: Set<String> = []
        // Layer by layer: the numbers of only one layer at a time are in memory in f32.
        for (index, layer) in layers.enumerated() {
            guard let own = groups[index] else { continue }
            var source = AdapterSource(
                parts: layer.parts.map(\.outputs), depth: layer.inputs, layout: layer.layout)
            for group in own {
                for change in try group.changes(on: device, weights: weights) {
                    source.add(change, of: layer)
                }
            }
            adapters[layer.key] = device.makeAdapter(
                source, precision: layer.precision(on: device))
            stages.insert(layer.stage)
            if isText(layer.weights[0]) { textLayers.insert(layer.key) }
        }
        var report = contents.report
        report.hash = file.shortHash
        self.init(
            adapters: adapters, textLayers: textLayers, report: report, stages: stages,
            device: device)
    }

    /// Creates a file from packed adapters.
    init(
        adapters: [String: Device.Adapter], textLayers: Set<String> = [], report: LoRAReport,
        stages: Set<LinearSpec.Stage>, device: Device
    ) {
        serial = Serial.next()
        self.report = report
        self.adapters = adapters
        self.textLayers = textLayers
        bytes = adapters.values.reduce(0) { $0 + device.bytes(of: $1) }
        changesCaptions = stages.contains(.caption)
        changesModulation = stages.contains(.modulation)
    }
}

/// Numbers the loads of a process.
private enum Serial {
    private static let counter = Atomic(0)

    static func next() -> Int { counter.wrappingAdd(1, ordering: .relaxed).newValue }
}

extension AdapterSource {
    /// Adds a change to one or several neighbouring weights of a layer.
    fileprivate mutating func add(_ change: LoRAChange, of layer: LinearSpec) {
        let total = layer.outputs
        let start = layer.parts.prefix { $0.weight != change.tensors[0] }
            .reduce(0) { $0 + $1.outputs }
        let outputs = start..<(start + change.rows)
        if let factors = change.lowRank {
            lowRank.append(
                .init(
                    outputs: outputs, rank: factors.rank, down: factors.down, up: factors.up))
        }
        func spread(_ own: [Float]?, _ old: [Float]?, width: Int) -> [Float]? {
            guard let own else { return old }
            var all = old ?? [Float](repeating: 0, count: total * width)
            all.replaceSubrange((start * width)..<((start + change.rows) * width), with: own)
            return all
        }
        gain = spread(change.gain, gain, width: 1)
        fullRank = spread(change.fullRank, fullRank, width: depth)
        bias = spread(change.bias, bias, width: 1)
    }
}
