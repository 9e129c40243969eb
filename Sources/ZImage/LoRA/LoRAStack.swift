// Part of Inkstone. Licence: see LICENSE.

package import Tensors

/// The LoRA files of one image with their scales, in the order in which they are added.
package struct LoRAStack<Device: Backend>: Sendable {
    struct Item: Sendable {
        let lora: LoadedLoRA<Device>
        let scale: Float
        /// Scale of the layers of the text encoder.
        let textScale: Float

        var key: String { "\(lora.serial):\(scale):\(textScale)" }

        /// Whether it changes nothing.
        var isOff: Bool { scale == 0 && (textScale == 0 || lora.textLayers.isEmpty) }
    }

    let items: [Item]

    /// Creates a stack; files of scale 0 are left out.
    package init(_ loras: [(lora: LoadedLoRA<Device>, scale: Double, textScale: Double?)] = []) {
        items = loras.map {
            Item(lora: $0.lora, scale: Float($0.scale), textScale: Float($0.textScale ?? $0.scale))
        }.filter { !$0.isOff }
    }

    /// The part of the stack on which captions depend.
    var captionKey: [String] { items.filter(\.lora.changesCaptions).map(\.key) }
    /// The part of the stack on which modulations depend.
    var modulationKey: [String] { items.filter(\.lora.changesModulation).map(\.key) }

    func isSame(as other: LoRAStack) -> Bool {
        items.count == other.items.count
            && zip(items, other.items).allSatisfy {
                $0.lora.serial == $1.lora.serial && $0.scale == $1.scale
                    && $0.textScale == $1.textScale
            }
    }
}

/// The stacks of the sequences of a batch.
struct AdapterBatch<Device: Backend>: Sendable {
    /// Neighbouring sequences with the same stack: their rows are one run.
    private var groups: [(sequences: Range<Int>, stack: LoRAStack<Device>)] = []

    /// Creates a batch from one stack for each sequence.
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

    /// Returns the adapters that a layer adds to the rows of `segments`.
    ///
    /// The adapters of a row are in the order of its stack, independent of the rest of the batch.
    func runs(for layer: String, _ segments: Segments) -> [AdapterRun<Device>] {
        groups.flatMap { group -> [AdapterRun<Device>] in
            let first = segments.range(group.sequences.lowerBound).lowerBound
            let end = segments.range(group.sequences.upperBound - 1).upperBound
            return group.stack.items.compactMap { item in
                let scale = item.lora.textLayers.contains(layer) ? item.textScale : item.scale
                guard scale != 0, let adapter = item.lora.adapters[layer] else { return nil }
                return AdapterRun(rows: first..<end, adapter: adapter, scale: scale)
            }
        }
    }
}
