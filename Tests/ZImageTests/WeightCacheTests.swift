// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Imaging
import ModelFiles
import Synchronization
import Tensors
import Testing
import ZImage

/// An image from packed weights on disk equals the image from weights in memory.
@Suite("Packed weights on the disk")
struct WeightCacheTests {
    private func folder() -> URL {
        FileManager.default.temporaryDirectory.appending(
            path: "inkstone-cache-\(UInt64.random(in: 0 ... .max))")
    }

    private func pipeline(
        _ cache: WeightCache?, _ precision: Precision, kernels: String? = nil
    ) throws -> Pipeline<CPUBackend> {
        let item = try ReferenceCase.named("emoji-nano/apple")
        return try Pipeline(
            model: try ModelDirectory(url: item.checkpoint),
            device: try CPUBackend(precision: precision, threads: 2, kernels: kernels),
            weightCache: cache)
    }

    private let input = PipelineInput(
        prompt: "a red apple", width: 64, height: 64, steps: 2, guidanceScale: 2, seed: 3)

    @Test(
        "the same bytes at the first start, at the next, and without it",
        arguments: Precision.allCases)
    func bytes(_ precision: Precision) throws {
        let folder = folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let cache = WeightCache(folder: folder, minimum: 0)
        let expected = try pipeline(nil, precision).generate(input)
        let first = try pipeline(cache, precision)
        #expect(Set(first.weightOrigins.values) == [.newCache])
        #expect(first.weightOrigins.count == 3)
        #expect(try first.generate(input) == expected)
        let second = try pipeline(cache, precision)
        #expect(Set(second.weightOrigins.values) == [.cache])
        #expect(try second.generate(input) == expected)
        #expect(cache.contents.files == 3)
        // Mapped files may lose their names.
        try FileManager.default.removeItem(at: folder)
        #expect(try second.generate(input) == expected)
    }

    @Test("kernels of another kind have files of their own")
    func kernels() throws {
        let folder = folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let cache = WeightCache(folder: folder, minimum: 0)
        for name in CPUBackend.availableKernels {
            let pipeline = try pipeline(cache, .f32, kernels: name)
            #expect(Set(pipeline.weightOrigins.values) == [.newCache])
        }
        #expect(cache.contents.files == 3 * CPUBackend.availableKernels.count)
    }

    @Test("small models have no file by default")
    func small() throws {
        let folder = folder()
        let pipeline = try pipeline(WeightCache(folder: folder), .f32)
        #expect(Set(pipeline.weightOrigins.values) == [.memory])
        #expect(!FileManager.default.fileExists(atPath: folder.path))
    }

    @Test("a file that fails half-way costs the cache, not the start")
    func halfWay() throws {
        let folder = folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        _ = try pipeline(WeightCache(folder: folder.appending(path: "a"), minimum: 0), .f32)
        let sizes = try FileManager.default.contentsOfDirectory(
            at: folder.appending(path: "a"), includingPropertiesForKeys: nil
        ).filter { $0.lastPathComponent.hasPrefix("vae-") }.map { try Data(contentsOf: $0).count }
        let warnings = Mutex<[String]>([])
        // Padding makes the autoencoder's file larger than the estimate that is checked before.
        let cache = WeightCache(
            folder: folder.appending(path: "b"), limit: try #require(sizes.first) - 100_000,
            minimum: 0
        ) { text in warnings.withLock { $0.append(text) } }
        let pipeline = try pipeline(cache, .f32)
        #expect(pipeline.weightOrigins["vae"] == .memory)
        #expect(warnings.withLock { $0.contains { $0.contains("packed into memory") } })
        let names = try FileManager.default.contentsOfDirectory(atPath: cache.folder.path)
        #expect(!names.contains { $0.hasPrefix("vae-") || $0.hasSuffix(".tmp") })
        #expect(try pipeline.generate(input) == self.pipeline(nil, .f32).generate(input))
    }
}
