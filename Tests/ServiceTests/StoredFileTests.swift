// Part of Inkstone. Licence: see LICENSE.

import Basics
import Dispatch
import Engine
import Foundation
import Imaging
import Parameters
import Service
import Synchronization
import Testing

/// Files and the rows that refer to them change together, whatever happens at the same time.
@Suite("Stored files", .timeLimit(.minutes(5)))
struct StoredFileTests {
    let folder: TemporaryFolder
    let engine = FakeEngine()
    private var data: URL { folder.url.appending(path: "data") }

    init() throws { folder = try TemporaryFolder() }

    /// A finished image with its file; the same ones for every job.
    private func image() throws -> (GeneratedImage, png: [UInt8]) {
        let image = try FakeEngine.image(seed: 7, size: PixelSize(width: 32, height: 16))
        return (
            GeneratedImage(
                index: 0, seed: 7, image: image, pixelDigest: SHA256.hexadecimal(image.pixels),
                promptTruncated: false,
                seconds: Timings(text: 0, steps: [], decode: 0, total: 0)),
            try ImageEncoder.encode(image)
        )
    }

    private func job(_ store: JobStore) async throws -> String {
        try await store.insert(try engine.request(), model: "example", Submission()).job.id
    }

    @Test("an image stays while an equal one of another job is removed")
    func imageIsAdded() async throws {
        let store = try JobStore(folder: data)
        let (image, png) = try image()
        let (old, new) = (try await job(store), try await job(store))
        try await store.add(image, png: png, to: old)
        try await store.finish(old, JobEnd(.succeeded))
        // The file of the new image is there already; its row is about to be added.
        let removal = store.interleave(at: .filesStored) { _ = try await store.remove([old]) }
        try await store.add(image, png: png, to: new)
        try await removal.value
        let stored = try #require(try await store.job(new, for: .all)?.images.first)
        #expect(store.files.read(stored.file) == png)
        #expect(try await store.job(old, for: .all) == nil)
    }

    @Test("an image is stored again while its file is being removed")
    func imageIsRemoved() async throws {
        let store = try JobStore(folder: data)
        let (image, png) = try image()
        let (old, new) = (try await job(store), try await job(store))
        try await store.add(image, png: png, to: old)
        try await store.finish(old, JobEnd(.succeeded))
        // The rows are gone, the file is about to go.
        let adding = store.interleave(at: .rowsRemoved) {
            try await store.add(image, png: png, to: new)
        }
        _ = try await store.remove([old])
        try await adding.value
        let stored = try #require(try await store.job(new, for: .all)?.images.first)
        #expect(store.files.read(stored.file) == png)
    }

    @Test("no name leads out of the folder")
    func names() throws {
        let store = try JobStore(folder: data)
        // Where "pictures/../../x.png" is.
        let outside = folder.url.appending(path: "x.png")
        try Data([1]).write(to: outside)
        store.files.remove("../x")
        #expect(FileManager.default.fileExists(atPath: outside.path))
        #expect(store.files.read("../x") == nil)
    }

    @Test("a row that cannot be added leaves no file")
    func rowFails() async throws {
        let store = try JobStore(folder: data)
        let (image, png) = try image()
        let id = try await job(store)
        store.failpoint.withLock {
            $0 = { if $0 == .filesStored { throw JobStoreError.full } }
        }
        let error = await #expect(throws: JobStoreError.self) {
            try await store.add(image, png: png, to: id)
        }
        #expect(error?.code == .full)
        #expect(store.files.read(SHA256.hexadecimal(png)) == nil)
        store.failpoint.withLock { $0 = nil }
        try await store.add(image, png: png, to: id)
        #expect(store.files.read(SHA256.hexadecimal(png)) == png)
    }
}

extension JobStoreError {
    /// What the store throws when SQLite finds no space.
    static let full = JobStoreError(code: .full, message: "There is no room.")
}

extension JobStore {
    /// Runs `work` as soon as the store reaches `point`, and holds the store there until the work has ended,
    /// for a quarter of a second at most: work that the store lets in ends within that time, and work that
    /// has to wait for the store cannot.
    func interleave(
        at point: Failpoint, _ work: @escaping @Sendable () async throws -> Void
    ) -> Task<Void, any Error> {
        let (begin, isBeginning) = AsyncStream<Void>.makeStream()
        let ended = DispatchSemaphore(value: 0)
        failpoint.withLock {
            $0 = { reached in
                guard reached == point else { return }
                self.failpoint.withLock { $0 = nil }
                isBeginning.yield()
                _ = ended.wait(timeout: .now() + 0.25)
            }
        }
        return Task {
            for await _ in begin { break }
            defer { ended.signal() }
            try await work()
        }
    }
}
