// Part of Inkstone. Licence: see LICENSE.

import Synchronization
import Tensors

/// The vectors by which the layers of the transformer are scaled and gated at given times: one row a
/// sequence, or one for all.
struct Modulation<Device: Backend>: Sendable {
    /// `[.., 4 * dim]` of each block, noise refiner first; then what other layers need.
    let vectors: [Device.Values]

    /// Joins modulations of one row each; `all` must not be empty.
    static func joined(_ all: [Modulation], on device: Device) -> Modulation {
        let vectors = all[0].vectors.enumerated().map { part, first in
            let rows = device.makeValues(rows: all.count, columns: first.columns)
            for (index, one) in all.enumerated() {
                device.copyRows(0..<1, of: one.vectors[part], to: rows, at: index)
            }
            return rows
        }
        return Modulation(vectors: vectors)
    }

    /// The modulation of row `index`, copied.
    func row(_ index: Int, on device: Device) -> Modulation {
        func row(_ values: Device.Values) -> Device.Values {
            let own = device.makeValues(rows: 1, columns: values.columns)
            device.copyRows(index..<(index + 1), of: values, to: own, at: 0)
            return own
        }
        return Modulation(vectors: vectors.map(row))
    }
}

/// Modulations of recent times: all images with the same number of steps pass the same times.
final class ModulationCache<Device: Backend>: Sendable {
    /// A time and the LoRA files that change what is computed from it.
    struct Request: Sendable {
        let time: Float
        let loras: LoRAStack<Device>
    }

    private struct Key: Hashable {
        /// The bits of the time.
        let time: UInt32
        let loras: [String]

        init(_ request: Request) {
            time = request.time.bitPattern
            loras = request.loras.modulationKey
        }
    }

    private let entries = Mutex<[Key: Modulation<Device>]>([:])
    private let capacity: Int
    private let device: Device

    /// Creates an empty cache.
    ///
    /// - Parameters:
    ///   - numbers: numbers of one modulation. Those of 64 MiB are kept, which are 33 times of a model
    ///     of the released size.
    ///   - device: holds the modulations.
    init(numbers: Int, device: Device) {
        capacity = max(8, min(256, (64 << 20) / (4 * numbers)))
        self.device = device
    }

    /// Returns the modulation of a batch, from the cache if it is there.
    ///
    /// - Parameters:
    ///   - requests: one for each sequence.
    ///   - compute: computes one row for each of several times with the same LoRA files.
    /// - Returns: one row a sequence, or one for all where they are equal.
    func modulation(
        for requests: [Request],
        _ compute: ([Float], LoRAStack<Device>) -> Modulation<Device>
    ) -> Modulation<Device> {
        let keys = requests.map(Key.init)
        let distinct = Set(keys)
        let known = entries.withLock { known in
            if !distinct.isSubset(of: known.keys) {
                if known.count + distinct.count > capacity { known.removeAll() }
                // A row depends on its own time alone: computed together they are as if alone.
                let missing = distinct.subtracting(known.keys)
                for (loras, missing) in Dictionary(grouping: missing, by: \.loras) {
                    let stack = zip(keys, requests).first { $0.0.loras == loras }?.1.loras
                    let made = compute(
                        missing.map { Float(bitPattern: $0.time) }, stack ?? LoRAStack())
                    for (index, key) in missing.enumerated() {
                        known[key] = made.row(index, on: device)
                    }
                }
            }
            return known
        }
        let own = keys.compactMap { known[$0] }
        return distinct.count > 1 ? Modulation.joined(own, on: device) : own[0]
    }
}
