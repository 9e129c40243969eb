// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import Synchronization
import Tensors
import Testing

/// Files of packed weights: what goes in comes out, and nothing damaged does.
@Suite("The weight cache")
struct WeightCacheTests {
    private final class Owner: Sendable {}

    private final class Warnings: Sendable {
        private let texts = Mutex<[String]>([])
        var all: [String] { texts.withLock { $0 } }
        func add(_ text: String) { texts.withLock { $0.append(text) } }
    }

    /// A checkpoint of one file.
    private func store(_ folder: TemporaryFolder, bytes: Int = 400) throws -> TensorStore {
        let header =
            #"{"a":{"dtype":"F32","shape":["# + "\(bytes / 4)"
            + #"],"data_offsets":[0,"# + "\(bytes)]}}"
        try folder.write(
            safetensors(header, dataBytes: bytes), to: "model/model.safetensors")
        return try TensorStore(folder: folder.url.appending(path: "model"))
    }

    private func cache(
        _ folder: TemporaryFolder, limit: Int = 1 << 30, minimum: Int = 0,
        _ warnings: Warnings = Warnings()
    ) -> WeightCache {
        WeightCache(
            folder: folder.url.appending(path: "cache"), limit: limit, minimum: minimum
        ) { warnings.add($0) }
    }

    private func bytes(_ count: Int, seed: UInt64) -> [UInt8] {
        var generator = SeededGenerator(seed: seed)
        return (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }

    /// Two matrices, one with two pieces of odd lengths.
    private var content: [(name: String, numbers: [String: Int], blobs: [String: [UInt8]])] {
        [
            (
                "first", ["rows": 3],
                ["panels": bytes(70_001, seed: 1), "scales": bytes(13, seed: 2)]
            ),
            ("second", ["rows": -4, "depth": 7], ["panels": bytes(64, seed: 3)]),
        ]
    }

    /// Writes `content` into the cache.
    @discardableResult
    private func fill(_ cache: WeightCache, _ store: TensorStore, form: String = "f") throws -> Bool
    {
        guard let session = cache.session("part", of: store, form: form, bytes: 200_000) else {
            return false
        }
        guard !session.isWarm else { return true }
        for (name, numbers, blobs) in content {
            // Blobs have to stay in place while they are written.
            let memory = blobs.mapValues { bytes in
                let copy = UnsafeMutableRawBufferPointer.allocate(
                    byteCount: bytes.count, alignment: 64)
                copy.copyBytes(from: bytes)
                return UnsafeRawBufferPointer(copy)
            }
            let matrix = PackedMatrix(numbers: numbers, blobs: memory, owner: Owner())
            let stored = try session.store(matrix, named: name)
            for blob in memory.values { blob.deallocate() }
            expect(stored, numbers, blobs)
        }
        try session.finish()
        return false
    }

    private func expect(
        _ matrix: PackedMatrix, _ numbers: [String: Int], _ blobs: [String: [UInt8]],
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(matrix.numbers == numbers, sourceLocation: sourceLocation)
        #expect(matrix.blobs.mapValues { Array($0) } == blobs, sourceLocation: sourceLocation)
        #expect(
            matrix.blobs.values.allSatisfy {
                UInt(bitPattern: $0.baseAddress).isMultiple(of: 64)
            }, sourceLocation: sourceLocation)
    }

    private func file(_ folder: TemporaryFolder) throws -> URL {
        let cache = folder.url.appending(path: "cache")
        let names = try FileManager.default.contentsOfDirectory(atPath: cache.path)
            .filter { $0.hasSuffix(".panels") }
        #expect(names.count == 1)
        return cache.appending(path: try #require(names.first))
    }

    @Test("matrices come back as they went in, at aligned addresses")
    func roundTrip() throws {
        let folder = try TemporaryFolder()
        let (cache, store) = (cache(folder), try store(folder))
        #expect(try fill(cache, store) == false)
        let session = try #require(cache.session("part", of: store, form: "f", bytes: 1))
        #expect(session.isWarm)
        for (name, numbers, blobs) in content {
            expect(try #require(try session.matrix(named: name)), numbers, blobs)
        }
        try failure { try session.matrix(named: "third") }
        #expect(cache.contents.files == 1)
        #expect(cache.contents.bytes > 70_000)
        let names = try FileManager.default.contentsOfDirectory(atPath: cache.folder.path)
        #expect(!names.contains { $0.hasSuffix(".tmp") })
    }

    @Test("another form, component or checkpoint does not find them")
    func keys() throws {
        let folder = try TemporaryFolder()
        let cache = cache(folder)
        try fill(cache, try store(folder))
        let same = try TensorStore(folder: folder.url.appending(path: "model"))
        #expect(cache.session("part", of: same, form: "f", bytes: 1)?.isWarm == true)
        #expect(cache.session("part", of: same, form: "g", bytes: 1)?.isWarm == false)
        #expect(cache.session("other", of: same, form: "f", bytes: 1)?.isWarm == false)
        // The same bytes again, in a new file.
        let rewritten = try store(folder)
        #expect(cache.session("part", of: rewritten, form: "f", bytes: 1)?.isWarm == false)
    }

    @Test("a link to the checkpoint finds them")
    func link() throws {
        let folder = try TemporaryFolder()
        let cache = cache(folder)
        try fill(cache, try store(folder))
        let link = folder.url.appending(path: "link")
        try FileManager.default.createSymbolicLink(
            at: link, withDestinationURL: folder.url.appending(path: "model"))
        let linked = try TensorStore(folder: link)
        #expect(cache.session("part", of: linked, form: "f", bytes: 1)?.isWarm == true)
    }

    @Test(
        "a damaged file is ignored and created again",
        arguments: ["empty", "short", "half", "no header", "table", "first byte", "last byte"])
    func damaged(_ damage: String) throws {
        let folder = try TemporaryFolder()
        let (cache, store) = (cache(folder), try store(folder))
        try fill(cache, store)
        let url = try file(folder)
        var bytes = try Data(contentsOf: url)
        let whole = bytes
        switch damage {
        case "empty": bytes = Data()
        case "short": bytes.removeLast()
        case "half": bytes.removeLast(bytes.count / 2)
        case "no header": bytes.replaceSubrange(0..<64, with: Data(count: 64))
        case "table": bytes[bytes.count - 2] ^= 1
        case "first byte": bytes[65_536] ^= 1
        default: bytes[65_536 + 70_000] ^= 1
        }
        try bytes.write(to: url)
        #expect(try fill(cache, store) == false)
        #expect(try Data(contentsOf: url) == whole)
        #expect(try fill(cache, store) == true)
    }

    @Test("an unfinished file never gets its name")
    func unfinished() throws {
        let folder = try TemporaryFolder()
        let (cache, store) = (cache(folder), try store(folder))
        do {
            let session = try #require(cache.session("part", of: store, form: "f", bytes: 1))
            let blob = UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 64)
            blob.initializeMemory(as: UInt8.self, repeating: 7)
            defer { blob.deallocate() }
            _ = try session.store(
                PackedMatrix(
                    numbers: [:], blobs: ["panels": UnsafeRawBufferPointer(blob)], owner: Owner()),
                named: "first")
        }
        #expect(cache.contents.files == 0)
        // What a killed process would leave is swept away by the next one.
        let leftover = cache.folder.appending(path: ".part-x.panels.abc.tmp")
        try Data([1]).write(to: leftover)
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSinceNow: -200_000)], ofItemAtPath: leftover.path)
        try fill(cache, store)
        #expect(!FileManager.default.fileExists(atPath: leftover.path))
        #expect(cache.contents.files == 1)
    }

    @Test("the file that was not used for longest makes room")
    func limit() async throws {
        let folder = try TemporaryFolder()
        let (cache, store) = (cache(folder, limit: 700_000), try store(folder))
        // File times move on with the kernel's tick: two uses within one are equally old.
        let tick = Duration.milliseconds(30)
        for form in ["a", "b"] {
            try fill(cache, store, form: form)
            try await Task.sleep(for: tick)
        }
        #expect(cache.contents.files == 2)
        #expect(try fill(cache, store, form: "a") == true)
        try await Task.sleep(for: tick)
        try fill(cache, store, form: "c")
        #expect(cache.contents.files == 2)
        #expect(try fill(cache, store, form: "a") == true)
        #expect(try fill(cache, store, form: "b") == false)
    }

    @Test("without room, or for small checkpoints, there is no file and no failure")
    func refused() throws {
        let folder = try TemporaryFolder()
        let store = try store(folder)
        let warnings = Warnings()
        #expect(
            cache(folder, limit: 100, warnings).session("part", of: store, form: "f", bytes: 200)
                == nil)
        #expect(warnings.all.count == 1)
        let free = cache(folder, limit: .max, warnings)
        #expect(free.session("part", of: store, form: "f", bytes: 1 << 60) == nil)
        #expect(warnings.all.count == 2)
        #expect(
            cache(folder, minimum: 401, warnings).session("part", of: store, form: "f", bytes: 1)
                == nil)
        // A file where the folder should be.
        try folder.write("x", to: "file")
        let blocked = WeightCache(folder: folder.url.appending(path: "file"), minimum: 0) {
            warnings.add($0)
        }
        #expect(blocked.session("part", of: store, form: "f", bytes: 1) == nil)
        #expect(warnings.all.count == 3)
        #expect(warnings.all.allSatisfy { $0.hasSuffix(".") && !$0.contains("\n") })
        #expect(TensorStore(folder: folder.url, tensors: [:]).fileIdentities.isEmpty)
    }

    @Test("two that pack at once: the second waits and finds", .timeLimit(.minutes(5)))
    func together() async throws {
        let folder = try TemporaryFolder()
        let (cache, store) = (cache(folder), try store(folder))
        let warm = try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<4 {
                group.addTask { try fill(cache, store) }
            }
            var warm: [Bool] = []
            for try await found in group { warm.append(found) }
            return warm
        }
        #expect(warm.count { !$0 } == 1)
        #expect(cache.contents.files == 1)
    }

    @Test("the folder comes from INKSTONE_CACHE, XDG_CACHE_HOME or HOME")
    func folder() {
        func path(_ environment: [String: String]) -> String? {
            WeightCache.standardFolder(environment: environment)?.path
        }
        #expect(path(["INKSTONE_CACHE": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"]) == "/a")
        #expect(path(["XDG_CACHE_HOME": "/b", "HOME": "/c"]) == "/b/inkstone")
        #expect(path(["INKSTONE_CACHE": "", "HOME": "/c"]) == "/c/.cache/inkstone")
        #expect(path([:]) == nil)
    }
}
