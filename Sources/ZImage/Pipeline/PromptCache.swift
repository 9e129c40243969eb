// Part of Inkstone. Licence: see LICENSE.

import Synchronization
public import Tensors

/// What was made of recent prompts: one that comes again costs nothing.
///
/// Kept is the caption, the prompt's features after the layers that do not depend on the step. It
/// is found by the token ids, the model and its LoRA files, and it is the very memory that a miss
/// would compute, so that a picture has the same bytes with and without the cache.
public final class PromptCache<Device: Backend>: Sendable {
    /// What a caption depends on.
    package struct Key: Hashable, Sendable {
        /// The prompt.
        let ids: [Int32]
        /// Model folder, precision and merged LoRA files with their strengths.
        let model: [String]
        /// Loads of the picture's own LoRA files that change captions, with their strengths.
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

    /// An empty cache.
    ///
    /// - Parameter capacity: bytes that captions may take; one of 64 tokens of the released model
    ///   takes 1 MB. What alone is larger is not kept.
    public init(capacity: Int = 64 << 20) {
        state = Mutex(State(info: PromptCacheInfo(capacity: capacity)))
    }

    /// Counts since the beginning, and what is kept now.
    public var info: PromptCacheInfo { state.withLock { $0.info } }

    /// The caption of a prompt, if it is kept; counts a hit or a miss.
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

    /// Keeps a caption; what was not used for longest makes room.
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

/// What a prompt cache has done and holds.
public struct PromptCacheInfo: Sendable, Equatable, Codable {
    /// Prompts that were found.
    public var hits = 0
    /// Prompts that had to be read.
    public var misses = 0
    /// Prompts that made room for others.
    public var evictions = 0
    /// Prompts that are kept.
    public var entries = 0
    /// Bytes that these take.
    public var bytes = 0
    /// Bytes that they may take.
    public var capacity: Int
}

extension Transformer.Caption {
    /// Memory taken.
    package var bytes: Int { tokens.rows * tokens.columns * MemoryLayout<Float>.size }
}
