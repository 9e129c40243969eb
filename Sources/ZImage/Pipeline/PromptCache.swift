// Part of Inkstone. Licence: see LICENSE.

import Synchronization
public import Tensors

/// A cache of encoded prompts.
///
/// Entries are captions: the prompt's features after the layers that do not depend on the step, by
/// token ids, model and LoRA files. A hit returns exactly the numbers that a miss would compute, so
/// that an image has the same bytes with and without the cache.
public final class PromptCache<Device: Backend>: Sendable {
    /// Everything on which a caption depends.
    package struct Key: Hashable, Sendable {
        /// Token ids of the prompt.
        let ids: [Int32]
        /// Model folder, precision and merged LoRA files with their scales.
        let model: [String]
        /// Loads of the image's own LoRA files that change captions, with their scales.
        let loras: [String]
    }

    private struct Entry: Sendable {
        let caption: Transformer<Device>.Caption
        /// When it was last used.
        var tick: Int
    }

    private struct State: Sendable {
        var entries: [Key: Entry] = [:]
        var tick = 0
        var info: PromptCacheInfo
    }

    private let state: Mutex<State>

    /// Creates an empty cache.
    ///
    /// - Parameter capacity: limit in bytes; a caption of 64 tokens of the released model takes 1 MB. A
    ///   caption that is larger than the limit is not cached.
    public init(capacity: Int = 64 << 20) {
        state = Mutex(State(info: PromptCacheInfo(capacity: capacity)))
    }

    /// Counts since the start, and the current content.
    public var info: PromptCacheInfo { state.withLock { $0.info } }

    /// The caption of a prompt, if it is cached; counts a hit or a miss.
    package subscript(key: Key) -> Transformer<Device>.Caption? {
        state.withLock { state in
            guard var entry = state.entries[key] else {
                state.info.misses += 1
                return nil
            }
            state.tick += 1
            entry.tick = state.tick
            state.entries[key] = entry
            state.info.hits += 1
            return entry.caption
        }
    }

    /// Inserts a caption and evicts the least recently used ones above the limit.
    package func insert(_ caption: Transformer<Device>.Caption, for key: Key) {
        state.withLock { state in
            guard caption.bytes <= state.info.capacity else { return }
            state.tick += 1
            let old = state.entries.updateValue(
                Entry(caption: caption, tick: state.tick), forKey: key)
            state.info.bytes += caption.bytes - (old?.caption.bytes ?? 0)
            while state.info.bytes > state.info.capacity,
                let oldest = state.entries.min(by: { $0.value.tick < $1.value.tick })
            {
                state.entries[oldest.key] = nil
                state.info.bytes -= oldest.value.caption.bytes
                state.info.evictions += 1
            }
            state.info.entries = state.entries.count
        }
    }
}

/// Statistics of a prompt cache.
public struct PromptCacheInfo: Sendable, Equatable, Codable {
    /// Lookups that found a caption.
    public var hits = 0
    /// Lookups that found none.
    public var misses = 0
    /// Captions that were evicted.
    public var evictions = 0
    /// Captions in the cache.
    public var entries = 0
    /// Bytes of these captions.
    public var bytes = 0
    /// Limit in bytes.
    public var capacity: Int
}

extension Transformer.Caption {
    /// Bytes of memory.
    package var bytes: Int { tokens.rows * tokens.columns * MemoryLayout<Float>.size }
}
