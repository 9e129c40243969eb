// Part of Inkstone. Licence: see LICENSE.

import Imaging
import ModelFiles
import Parameters
import Tensors
import Testing
import ZImage

/// Captions are cached up to a limit in bytes, by prompt and model, and change no image.
@Suite("The prompt cache")
struct PromptCacheTests {
    /// A caption of 32 tokens of the embedded model.
    private static let captionBytes = 32 * 288 * 4

    private func pipeline(
        _ cache: PromptCache<CPUBackend>?, _ precision: Precision = .f32
    ) throws -> Pipeline<CPUBackend> {
        let item = try ReferenceCase.named("emoji-nano/apple")
        return try Pipeline(
            model: try ModelDirectory(url: item.checkpoint),
            device: try CPUBackend(precision: precision, threads: 2), promptCache: cache)
    }

    private func input(_ prompt: String, guidance: Double = 0) -> PipelineInput {
        PipelineInput(
            prompt: prompt, width: 64, height: 64, steps: 1, guidanceScale: guidance, seed: 3)
    }

    @Test("an image has the same bytes from a miss, from a hit and without the cache")
    func bytes() throws {
        let cache = PromptCache<CPUBackend>()
        let cached = try pipeline(cache)
        let plain = try pipeline(nil)
        for guidance in [0.0, 4] {
            let expected = try plain.generate(input("a red apple", guidance: guidance))
            #expect(try cached.generate(input("a red apple", guidance: guidance)) == expected)
            #expect(try cached.generate(input("a red apple", guidance: guidance)) == expected)
        }
        #expect(plain.promptCache == nil)
        // The second pair of images adds the empty negative prompt.
        #expect(cache.info.hits == 4)
        #expect(cache.info.misses == 2)
        #expect(cache.info.entries == 2)
        #expect(cache.info.bytes == 2 * Self.captionBytes)
    }

    @Test("what was not used for longest makes room")
    func eviction() throws {
        let cache = PromptCache<CPUBackend>(capacity: 2 * Self.captionBytes + 1)
        let pipeline = try pipeline(cache)
        for prompt in ["a cat", "a dog", "a cat", "a bus"] {
            _ = try pipeline.begin(input(prompt))
        }
        #expect(cache.info.evictions == 1)
        #expect(cache.info.hits == 1)
        _ = try pipeline.begin(input("a cat"))
        #expect(cache.info.hits == 2)
        _ = try pipeline.begin(input("a dog"))
        #expect(cache.info.misses == 4)
        #expect(cache.info.bytes == 2 * Self.captionBytes)
        #expect(cache.info.entries == 2)
    }

    @Test("a caption that is too large is not kept")
    func tooLarge() throws {
        let cache = PromptCache<CPUBackend>(capacity: Self.captionBytes - 1)
        let pipeline = try pipeline(cache)
        for _ in 0..<2 { _ = try pipeline.begin(input("a cat")) }
        #expect(
            cache.info.misses == 2 && cache.info.hits == 0 && cache.info.entries == 0
                && cache.info.bytes == 0 && cache.info.evictions == 0)
    }

    @Test("pipelines that share it keep their captions apart")
    func shared() throws {
        let cache = PromptCache<CPUBackend>()
        let (single, half) = (try pipeline(cache, .f32), try pipeline(cache, .bf16))
        _ = try single.generate(input("a cat"))
        let expected = try pipeline(nil, .bf16).generate(input("a cat"))
        #expect(try half.generate(input("a cat")) == expected)
        #expect(cache.info.hits == 0)
        #expect(cache.info.misses == 2)
    }

    @Test("a sibling's captions serve without reading the prompt again")
    func sibling() throws {
        let cache = PromptCache<CPUBackend>()
        let pipeline = try pipeline(cache)
        var second = input("a cat")
        second.seed = 4
        let first = try pipeline.begin(input("a cat"))
        var batch = [try pipeline.begin(second, sibling: first)]
        #expect(cache.info.misses == 1 && cache.info.hits == 0)
        try pipeline.step(&batch)
        #expect(try pipeline.finish(&batch[0]) == pipeline.generate(second))
    }
}
