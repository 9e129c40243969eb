// Part of Inkstone. Licence: see LICENSE.

public import Tensors

extension VulkanBackend {
    /// Incremented with every change of the rows' content or order.
    private static let rowVersion = 1

    /// See `Backend`: another driver may round the weights in another way.
    public var packedForm: String? {
        let facts = device.facts
        return "vulkan \(facts.name) \(facts.driverName) \(facts.driverVersion) \(precisionName)"
            + " rows \(Self.rowVersion)"
    }

    /// See `Backend`.
    public var mapsPackedWeights: Bool { false }

    /// See `Backend`; waits for the device.
    public func packed(_ weights: VulkanWeights) -> PackedMatrix? {
        let parts = [
            ("rows", weights.buffer), ("scales", weights.scales), ("bias", weights.bias),
        ]
        var blobs: [String: UnsafeRawBufferPointer] = [:]
        var copies: [HostCopy] = []
        for case (let name, let buffer?) in parts {
            let copy = HostCopy(bytes: buffer.bytes)
            do throws(VulkanError) {
                try device.recorder.download(buffer, into: copy.memory)
            } catch { return nil }
            blobs[name] = UnsafeRawBufferPointer(copy.memory)
            copies.append(copy)
        }
        return PackedMatrix(
            numbers: [
                "rows": weights.rows, "depth": weights.depth, "taps": weights.taps,
                "bytes": weights.precision.bytesPerWeight, "gated": weights.isGated ? 1 : 0,
            ], blobs: blobs, owner: copies)
    }

    /// See `Backend`; sizes are validated, since they come from a file.
    public func makeWeights(
        _ packed: PackedMatrix, placement: WeightPlacement
    ) -> VulkanWeights? {
        let limit = 1 << 28
        guard let rows = packed.numbers["rows"], let depth = packed.numbers["depth"],
            let taps = packed.numbers["taps"], let bytes = packed.numbers["bytes"],
            let gated = packed.numbers["gated"], let stored = packed.blobs["rows"],
            let precision = Precision.allCases.first(where: { $0.bytesPerWeight == bytes }),
            (1...limit).contains(rows), (1...limit).contains(depth), (1...64).contains(taps),
            gated == 0 || rows.isMultiple(of: 2),
            precision != .int8 || (taps == 1 && depth <= longestInt8Row)
        else { return nil }
        let (scales, bias) = (packed.blobs["scales"], packed.blobs["bias"])
        let (count, overflows) = (taps * paddedRow(depth) * bytes)
            .multipliedReportingOverflow(by: rows)
        guard !overflows, stored.count == count,
            scales?.count == (precision == .f32 ? nil : rows * 4),
            bias == nil || (gated == 0 && bias?.count == rows * 4)
        else { return nil }
        let isOnHost = placement == .host && device.hasOwnMemory && taps == 1
        func copied(_ source: UnsafeRawBufferPointer, onHost: Bool) -> DeviceBuffer {
            let target =
                onHost
                ? device.makePinnedBufferOrFail(bytes: source.count) : buffer(bytes: source.count)
            device.recorder.upload(source, to: target)
            return target
        }
        let weights = VulkanWeights(
            buffer: copied(stored, onHost: isOnHost),
            scales: scales.map { copied($0, onHost: isOnHost) },
            bias: bias.map { copied($0, onHost: false) }, rows: rows, depth: depth, taps: taps,
            precision: precision, isGated: gated != 0)
        return isOnHost ? streamed(weights) : weights
    }
}

/// Memory for a copy of a device's buffer.
private final class HostCopy: @unchecked Sendable {
    // Unchecked: it is written before it is shared.
    let memory: UnsafeMutableRawBufferPointer

    init(bytes: Int) {
        memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes, alignment: 64)
    }

    deinit { memory.deallocate() }
}
