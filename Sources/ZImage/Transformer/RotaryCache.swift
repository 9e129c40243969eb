// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Synchronization
import Tensors

/// Rotary tables of one batch shape.
struct RotaryTables<Device: Backend>: Sendable {
    /// For the image tokens alone.
    let image: RotaryTable<Device>
    /// For the image tokens of each sequence with its caption after them.
    let joint: RotaryTable<Device>
}

/// Rotary tables of recent batch shapes; the shape rarely changes between steps.
final class RotaryCache<Device: Backend>: Sendable {
    /// The shape of a sequence.
    struct Shape: Hashable, Sendable {
        /// Rows of image tokens.
        let rows: Int
        /// Columns of image tokens.
        let columns: Int
        /// Tokens of padding after the image.
        let padding: Int
        /// Tokens of the caption, padding included.
        let captionLength: Int
    }

    /// The angles of a sequence serve every batch that contains it.
    private struct State: Sendable {
        var batches: [[Shape]: RotaryTables<Device>] = [:]
        var sequences: [Shape: (image: RotaryAngles, joint: RotaryAngles)] = [:]
    }

    private let config: TransformerConfig
    private let device: Device
    private let state = Mutex(State())

    init(config: TransformerConfig, device: Device) {
        self.config = config
        self.device = device
    }

    /// Returns the tables of a batch of sequences of the given shapes.
    func tables(for shapes: [Shape]) -> RotaryTables<Device> {
        state.withLock { state in
            if let known = state.batches[shapes] { return known }
            var image = RotaryAngles(config: config)
            var joint = RotaryAngles(config: config)
            for shape in shapes {
                let own = state.sequences[shape] ?? angles(of: shape)
                if state.sequences.count >= 32 { state.sequences.removeAll() }
                state.sequences[shape] = own
                image.append(own.image)
                joint.append(own.joint)
            }
            let made = RotaryTables(
                image: image.table(on: device), joint: joint.table(on: device))
            if state.batches.count >= 8 { state.batches.removeAll() }
            state.batches[shapes] = made
            return made
        }
    }

    private func angles(of shape: Shape) -> (image: RotaryAngles, joint: RotaryAngles) {
        var image = RotaryAngles(config: config)
        image.appendImage(
            rows: shape.rows, columns: shape.columns, padding: shape.padding,
            captionLength: shape.captionLength)
        var joint = image
        joint.appendCaption(paddedLength: shape.captionLength)
        return (image, joint)
    }
}
