// Part of Inkstone. Licence: see LICENSE.

package import Tensors

/// The LoRA files of one picture with their strengths, in the order in which they are added.
package struct LoRAStack<Device: Backend>: Sendable {
    struct Item: Sendable {
        let lora: LoadedLoRA<Device>
        let scale: Float

        var key: String { "\(lora.serial):\(scale)" }
    }

    let items: [Item]

    /// Files and strengths; what has strength 0 is left out.
    package init(_ loras: [(lora: LoadedLoRA<Device>, scale: Double)] = []) {
        items = loras.map { Item(lora: $0.lora, scale: Float($0.scale)) }.filter { $0.scale != 0 }
    }

    /// What captions depend on.
    var captionKey: [String] { items.filter(\.lora.changesCaptions).map(\.key) }
    /// What modulations depend on.
    var modulationKey: [String] { items.filter(\.lora.changesModulation).map(\.key) }

    func isSame(as other: LoRAStack) -> Bool {
        items.count == other.items.count
            && zip(items, other.items).allSatisfy {
                $0.lora.serial == $1.lora.serial && $0.scale == $1.scale
            }
    }
}

/// The stacks of the sequences of a batch.
struct AdapterBatch<Device: Backend>: Sendable {
    /// Neighbouring sequences with one stack, so that their rows are one run.
    private var groups: [(sequences: Range<Int>, stack: LoRAStack<Device>)] = []

    /// One stack a sequence.
    init(_ stacks: [LoRAStack<Device>] = []) {
        for (index, stack) in stacks.enumerated() where !stack.items.isEmpty {
            if let last = groups.last, last.sequences.upperBound == index,
                last.stack.isSame(as: stack)
            {
                groups[groups.count - 1].sequences = last.sequences.lowerBound..<(index + 1)
            } else {
                groups.append((index..<(index + 1), stack))
            }
        }
    }

    /// What is added to a layer's product over the rows of `segments`.
    ///
    /// The order of a row's own adapters is that of its stack, whatever else is in the batch.
    func runs(for layer: String, _ segments: Segments) -> [AdapterRun<Device>] {
        groups.flatMap { group -> [AdapterRun<Device>] in
            let first = segments.range(group.sequences.lowerBound).lowerBound
            let end = segments.range(group.sequences.upperBound - 1).upperBound
            return group.stack.items.compactMap { item in
                item.lora.adapters[layer].map {
                    AdapterRun(rows: first..<end, adapter: $0, scale: item.scale)
                }
            }
        }
    }
}
