// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation
import ModelFiles
import Synchronization
import Tensors

/// A cache of recently used LoRA files, packed for the device; a file that has changed is read again.
final class LoRACache<Device: Backend>: Sendable {
    private struct Entry {
        let lora: LoadedLoRA<Device>
        let stamp: Stamp
        var tick: Int
    }

    /// The present versions of a file and of the configuration beside it.
    private struct Stamp: Equatable {
        let file: FileStamp
        let configuration: FileStamp?

        init?(of url: URL) {
            guard let file = FileStamp(path: url.path) else { return nil }
            self.file = file
            configuration = LoRAConfiguration.location(for: url).flatMap {
                FileStamp(path: $0.path)
            }
        }
    }

    private struct State {
        var entries: [String: Entry] = [:]
        var tick = 0
        var bytes = 0
    }

    private let state = Mutex(State())
    /// Bytes that are cached; images in progress can hold more.
    private let capacity: Int

    init(capacity: Int) { self.capacity = capacity }

    /// Returns a file packed for the device, from the cache if it is there.
    ///
    /// - Throws: errors of `read`, and `CheckpointError` for a file that does not exist.
    func lora(
        at url: URL, _ read: (LoRAFile) throws -> LoadedLoRA<Device>
    ) throws -> LoadedLoRA<Device> {
        let url = try LoRAConfiguration.file(at: url)
        let path = url.resolvingSymlinksInPath().path
        let stamp = Stamp(of: url)
        if let stamp, let known = use(path, stamp) { return known }
        let lora = try read(try LoRAFile(url: url))
        if let stamp { insert(lora, path, stamp) }
        return lora
    }

    private func use(_ path: String, _ stamp: Stamp) -> LoadedLoRA<Device>? {
        state.withLock { state in
            guard var entry = state.entries[path] else { return nil }
            guard entry.stamp == stamp else {
                state.entries[path] = nil
                state.bytes -= entry.lora.bytes
                return nil
            }
            state.tick += 1
            entry.tick = state.tick
            state.entries[path] = entry
            return entry.lora
        }
    }

    private func insert(_ lora: LoadedLoRA<Device>, _ path: String, _ stamp: Stamp) {
        state.withLock { state in
            guard lora.bytes <= capacity else { return }
            state.tick += 1
            let old = state.entries.updateValue(
                Entry(lora: lora, stamp: stamp, tick: state.tick), forKey: path)
            state.bytes += lora.bytes - (old?.lora.bytes ?? 0)
            while state.bytes > capacity,
                let oldest = state.entries.min(by: { $0.value.tick < $1.value.tick })
            {
                state.entries[oldest.key] = nil
                state.bytes -= oldest.value.lora.bytes
            }
        }
    }

    /// Paths of the cached files.
    var paths: [String] { state.withLock { Array($0.entries.keys) } }

    /// Number of cached files and their bytes.
    var info: (files: Int, bytes: Int) { state.withLock { ($0.entries.count, $0.bytes) } }
}
