// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import Synchronization
import Tensors

/// LoRA files that were used lately, in the device's form; a file that was changed is read again.
final class LoRACache<Device: Backend>: Sendable {
    private struct Entry {
        let lora: LoadedLoRA<Device>
        let stamp: Stamp
        var tick: Int
    }

    /// What tells a file from what it was before.
    private struct Stamp: Equatable {
        let size: Int
        let number: Int
        let modified: Date?
    }

    private struct State {
        var entries: [String: Entry] = [:]
        var tick = 0
        var bytes = 0
    }

    private let state = Mutex(State())
    /// Bytes that are kept for later; pictures under way may hold more.
    private let capacity: Int

    init(capacity: Int) { self.capacity = capacity }

    /// The file in the device's form.
    ///
    /// - Throws: what `read` throws, and `CheckpointError` for a file that is not there.
    func lora(
        at url: URL, _ read: (LoRAFile) throws -> LoadedLoRA<Device>
    ) throws -> LoadedLoRA<Device> {
        let path = url.resolvingSymlinksInPath().path
        let stamp = Self.stamp(of: path)
        if let stamp, let known = use(path, stamp) { return known }
        let lora = try read(try LoRAFile(url: url))
        if let stamp { keep(lora, path, stamp) }
        return lora
    }

    private static func stamp(of path: String) -> Stamp? {
        guard let found = try? FileManager.default.attributesOfItem(atPath: path) else {
            return nil
        }
        func number(_ key: FileAttributeKey) -> Int { (found[key] as? NSNumber)?.intValue ?? 0 }
        return Stamp(
            size: number(.size), number: number(.systemFileNumber),
            modified: found[.modificationDate] as? Date)
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

    private func keep(_ lora: LoadedLoRA<Device>, _ path: String, _ stamp: Stamp) {
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

    /// Paths of the files that are kept now.
    var paths: [String] { state.withLock { Array($0.entries.keys) } }

    /// Files that are kept now, and the bytes they take.
    var info: (files: Int, bytes: Int) { state.withLock { ($0.entries.count, $0.bytes) } }
}
