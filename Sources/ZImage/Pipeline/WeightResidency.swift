// Part of Inkstone. Licence: see LICENSE.

import Basics
package import Tensors

/// Where the weights of a model are kept, by the memory that is free when it is loaded.
///
/// It has no effect on images, only on the time that they take.
public struct WeightResidency: Sendable, Equatable {
    /// Layers of the text encoder that stay in the machine's memory, beside a device with its own.
    public internal(set) var textLayersOnHost = 0
    /// Blocks of the transformer that stay in the machine's memory, beside a device with its own.
    public internal(set) var blocksOnHost = 0
    /// Whether the layers of the text encoder are packed again from their file for each new prompt.
    public internal(set) var repacksTextEncoder = false

    /// Everything in the memory of the device.
    package init() {}
}

extension MemoryPlan {
    /// Chooses the residency of a model for a device, by the memory that is free now.
    ///
    /// - Throws: `MemoryError` if the model does not fit.
    package func residency(on device: some Backend) throws(MemoryError) -> WeightResidency {
        try residency(free: device.availableBytes)
    }

    /// Chooses it for a device with `free` bytes of dedicated memory, or without.
    private func residency(free: Int?) throws(MemoryError) -> WeightResidency {
        let hostFree = Self.availableBytes ?? .max
        guard let free else { return try residency(sharing: hostFree) }
        return try residency(device: free, host: hostFree)
    }

    /// Bytes that are free for the activations and weights of a device.
    package static func freeBytes(on device: some Backend) -> Int {
        device.availableBytes ?? availableBytes ?? .max
    }

    /// Chooses the residency of a model for a device that shares the machine's memory.
    ///
    /// - Throws: `MemoryError` if the model does not fit.
    package func residency(sharing free: Int) throws(MemoryError) -> WeightResidency {
        guard streamedBytes + activationBytes <= free else {
            throw MemoryError(
                needed: streamedBytes + activationBytes, available: free, purpose: purpose)
        }
        var residency = WeightResidency()
        residency.repacksTextEncoder = residentBytes > free - free / 5 - 2 * activationBytes
        return residency
    }

    /// Chooses the residency of a model for a device with dedicated memory.
    ///
    /// What does not fit stays in the machine's memory: first layers of the text encoder, which run once for
    /// each prompt, then blocks of the transformer, which run in each step.
    ///
    /// - Parameters:
    ///   - free: free bytes of the device.
    ///   - hostFree: free bytes of the machine.
    /// - Returns: where layers and blocks are kept.
    /// - Throws: `MemoryError` if the model does not fit.
    package func residency(device free: Int, host hostFree: Int) throws(MemoryError)
        -> WeightResidency
    {
        var residency = WeightResidency()
        // A tenth stays free for other programs.
        let weights = free - free / 10 - pairActivationBytes
        guard residentBytes > weights else { return residency }
        let excess = residentBytes + copyBytes - weights
        residency.textLayersOnHost = min(textLayers, Self.ceiling(excess, textLayerBytes))
        let rest = excess - residency.textLayersOnHost * textLayerBytes
        residency.blocksOnHost = min(blocks, Self.ceiling(rest, blockBytes))
        let onHost = bytesOnHost(residency)
        let onDevice = residentBytes - onHost + copyBytes + activationBytes
        guard onDevice <= free else {
            throw MemoryError(
                needed: onDevice, available: free,
                purpose: "\(purpose), with the other weights in the machine's memory,",
                place: "the device's memory")
        }
        guard onHost <= hostFree else {
            throw MemoryError(
                needed: onHost, available: hostFree,
                purpose: "the part of \(purpose) that the device has no memory for")
        }
        return residency
    }

    /// Bytes of weights in the machine's memory.
    package func bytesOnHost(_ residency: WeightResidency) -> Int {
        residency.textLayersOnHost * textLayerBytes + residency.blocksOnHost * blockBytes
    }

    /// Returns a clause about weights that are not in the memory of the device, or `nil`.
    package func description(of residency: WeightResidency) -> String? {
        let parts = [
            residency.textLayersOnHost > 0
                ? "\(residency.textLayersOnHost) of \(textLayers) layers of the text encoder" : nil,
            residency.blocksOnHost > 0
                ? "\(residency.blocksOnHost) of \(blocks) blocks of the transformer" : nil,
        ].compactMap(\.self)
        guard !parts.isEmpty else {
            return residency.repacksTextEncoder
                ? "the text encoder is packed again for each new prompt" : nil
        }
        return parts.joined(separator: " and ")
            + " (\(bytesOnHost(residency).gigabyteText)) are copied to the device when they run"
    }

    /// Returns what weights and activations need, and where they go on a device with dedicated memory.
    package func summary(on device: some Backend) -> String {
        let weights = "\(residentBytes.byteText) of weights"
        let activations =
            "about \(activationBytes.byteText) more while generating at the default size"
        guard let free = device.availableBytes else {
            return "\(weights), or \(streamedBytes.byteText) when the text encoder is streamed from"
                + " its files, and \(activations)"
        }
        let placement: String
        do throws(MemoryError) {
            let residency = try residency(free: free)
            placement = description(of: residency) ?? "all of it in the device's memory"
        } catch { placement = "\(error)" }
        return "\(weights) and \(activations); of \(free.byteText) free on the device: \(placement)"
    }

    private var purpose: String { "the model in \(precision.rawValue)" }

    private static func ceiling(_ bytes: Int, _ part: Int) -> Int {
        part > 0 ? max(0, (bytes + part - 1) / part) : 0
    }
}
