// Part of Inkstone. Licence: see LICENSE.

/// Weights that stay in the machine's memory, on their way to the products that use them.
///
/// Operations are recorded ahead of the device, by two submissions at most, so that the copies of a product are
/// queued while earlier kernels run. A slot has room for the largest matrix; where the current one is full, what
/// is recorded is submitted, and the next copies go to the other slot.
final class WeightStream {
    private let device: VulkanDevice
    /// Bytes of the largest matrix with its scales.
    private var largest = 0
    private var slots: StreamSlots?
    /// The memory of the slots.
    private var memory: [DeviceBuffer] = []

    init(_ device: VulkanDevice) { self.device = device }

    /// States that weights will be copied.
    func register(_ weights: VulkanWeights) { largest = max(largest, Self.bytes(of: weights)) }

    /// Returns weights in the device's memory for the command that is recorded next.
    func copy(_ weights: VulkanWeights) -> VulkanWeights {
        let recorder = device.recorder
        // A copy can only wait for what is queued.
        if weights.writtenBy >= recorder.recorded { recorder.submit() }
        guard let (slot, offset, earlier) = place(Self.bytes(of: weights)) else { return weights }
        func copied(_ source: DeviceBuffer, at offset: Int) -> DeviceBuffer {
            let target = slot.part(at: offset, bytes: source.bytes)
            recorder.stream(source, to: target, after: max(earlier, weights.writtenBy))
            return target
        }
        let buffer = copied(weights.buffer, at: offset)
        let scales = weights.scales.map {
            copied($0, at: offset + StreamSlots.aligned(weights.buffer.bytes))
        }
        return VulkanWeights(
            buffer: buffer, scales: scales, bias: weights.bias, rows: weights.rows,
            depth: weights.depth, taps: weights.taps, precision: weights.precision,
            isGated: weights.isGated)
    }

    /// Finds a place; returns `nil` after a failure.
    private func place(_ bytes: Int) -> (slot: DeviceBuffer, offset: Int, earlier: UInt64)? {
        let recorder = device.recorder
        // Weights may have been loaded since, such as those of another part of the model.
        if let slots, slots.capacity < bytes { self.slots = nil }
        guard recorder.failure == nil, var slots = slots ?? makeSlots() else { return nil }
        var offset = slots.reserve(bytes)
        if offset == nil {
            recorder.submit()
            slots.advance(queued: recorder.recorded - 1)
            offset = slots.reserve(bytes)
        }
        self.slots = slots
        guard let offset, recorder.failure == nil else { return nil }
        return (memory[slots.current], offset, slots.writableAfter)
    }

    /// Allocates the slots, of which a copy then waits for all commands of before.
    private func makeSlots() -> StreamSlots? {
        let recorder = device.recorder
        memory = []
        memory = (0..<StreamSlots.count).map { _ in device.makeBufferOrFail(bytes: largest) }
        recorder.submit()
        guard recorder.failure == nil else {
            memory = []
            return nil
        }
        return StreamSlots(capacity: largest, after: recorder.recorded - 1)
    }

    private static func bytes(of weights: VulkanWeights) -> Int {
        StreamSlots.aligned(weights.buffer.bytes) + (weights.scales?.bytes ?? 0)
    }
}
