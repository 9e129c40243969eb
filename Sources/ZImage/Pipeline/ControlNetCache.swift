// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation
import ModelFiles
import Synchronization
import Tensors

/// ControlNets in memory, and the latents of recent control images.
///
/// A net is loaded when an image first needs it. The least recently used nets are released if the memory is needed
/// for another one.
final class ControlNetCache<Device: Backend>: Sendable {
    private struct Entry {
        let net: ControlNet<Device>
        let stamp: FileStamp
        var tick: Int
    }

    private struct State {
        var nets: [String: Entry] = [:]
        var latents: [String: (planes: Planes, tick: Int)] = [:]
        var latentBytes = 0
        var tick = 0

        mutating func nextTick() -> Int {
            tick += 1
            return tick
        }
    }

    private let state = Mutex(State())
    /// Stores packed weights on disk.
    private let weightCache: WeightCache?
    /// Bytes of latents that are kept.
    private let latentCapacity = 64 << 20

    init(weightCache: WeightCache?) { self.weightCache = weightCache }

    /// Names and bytes of the nets in memory.
    var loaded: [(name: String, bytes: Int)] {
        state.withLock { $0.nets.values.map { ($0.net.name, $0.net.bytes) } }
            .sorted { $0.0 < $1.0 }
    }

    // MARK: - Nets

    /// Returns a net for a transformer of the given sizes, loaded if it is not in memory.
    ///
    /// - Parameters:
    ///   - source: its file or folder.
    ///   - model: the model that it belongs to.
    ///   - device: the device it runs on.
    ///   - reserve: bytes that must stay free.
    /// - Returns: the net.
    /// - Throws: `CheckpointError`, `MemoryError`.
    func net(
        _ source: ControlSource, for model: ModelDirectory, on device: Device, reserve: Int
    ) throws -> ControlNet<Device> {
        let path = source.url.resolvingSymlinksInPath().path
        let stamp = FileStamp(path: path)
        if let known = state.withLock({ use(path, stamp, &$0) }) { return known }
        let store = try TensorStore(controlNet: source.url)
        let feedForward = try model.feedForwardWidth()
        let config = try ControlNetConfig(of: store, for: model.transformerConfig)
        let spec = ControlNetSpec(
            config, base: model.transformerConfig, feedForward: feedForward)
        try makeRoom(
            for: spec.weightBytes(device.precision.bytesPerWeight) + reserve, on: device,
            purpose: "the ControlNet \(source.name.quoted)")
        let loader = WeightLoader(device: device, store: store)
        let net = try loader.load("controlnet", cache: weightCache) { loader in
            try ControlNet(
                name: source.name, base: model.transformerConfig, feedForward: feedForward,
                loader: loader)
        }.part
        if let failure = device.failure { throw failure }
        guard let stamp else { return net }
        state.withLock { state in
            let tick = state.nextTick()
            state.nets[path] = Entry(net: net, stamp: stamp, tick: tick)
        }
        return net
    }

    private func use(
        _ path: String, _ stamp: FileStamp?, _ state: inout State
    ) -> ControlNet<Device>? {
        guard let entry = state.nets[path] else { return nil }
        guard entry.stamp == stamp else {
            state.nets[path] = nil
            return nil
        }
        let tick = state.nextTick()
        state.nets[path]?.tick = tick
        return entry.net
    }

    /// Releases nets until there is memory for another one.
    private func makeRoom(for bytes: Int, on device: Device, purpose: String) throws(MemoryError) {
        func available() -> Int { device.availableBytes ?? MemoryPlan.availableBytes ?? .max }
        while available() < bytes {
            let released = state.withLock { state -> Bool in
                guard let oldest = state.nets.min(by: { $0.value.tick < $1.value.tick }) else {
                    return false
                }
                state.nets[oldest.key] = nil
                return true
            }
            guard released else {
                throw MemoryError(
                    needed: bytes, available: available(), purpose: purpose,
                    place: device.availableBytes == nil ? "memory" : "the device's memory")
            }
            device.trim()
        }
    }

    // MARK: - Latents

    /// Returns the latents of pixels of the given content, from `encode` if they are not cached.
    func latents(
        of content: [UInt8], width: Int, height: Int, _ encode: () throws -> Planes
    ) rethrows -> Planes {
        let key = "\(width)x\(height) \(SHA256.hexadecimal(content))"
        let known = state.withLock { state -> Planes? in
            guard let known = state.latents[key] else { return nil }
            let tick = state.nextTick()
            state.latents[key]?.tick = tick
            return known.planes
        }
        if let known { return known }
        let planes = try encode()
        state.withLock { state in
            let tick = state.nextTick()
            let old = state.latents.updateValue((planes, tick), forKey: key)
            state.latentBytes += planes.bytes - (old?.planes.bytes ?? 0)
            while state.latentBytes > latentCapacity,
                let oldest = state.latents.min(by: { $0.value.tick < $1.value.tick })
            {
                state.latents[oldest.key] = nil
                state.latentBytes -= oldest.value.planes.bytes
            }
        }
        return planes
    }
}

extension Planes {
    fileprivate var bytes: Int { 4 * numbers.count }
}
