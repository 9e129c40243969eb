// Part of Inkstone. Licence: see LICENSE.

import Catalog
import Foundation
import Gateway
import HTTPTypes
import Imaging
import NIOCore
import Service
import Synchronization
import Testing

/// What the service knows of LoRA files, and how often it reads them.
@Suite("Facts of LoRA files", .timeLimit(.minutes(5)))
struct LoRAFactsTests {
    /// A folder of files that are read by a counting reader, which waits until it is released.
    private final class Bench: Sendable {
        let folder = FileManager.default.temporaryDirectory
            .appending(path: "inkstone-facts-\(UUID().uuidString)")
        let counts = Mutex<[String: Int]>([:])
        let released = Promise<Void>()
        /// The error of the next file that is read.
        let failure = Mutex<(any Error)?>(nil)

        init(isReleased: Bool = true) throws {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            if isReleased { released.fulfil(()) }
        }

        deinit { try? FileManager.default.removeItem(at: folder) }

        func write(_ name: String, _ text: String = "text") throws -> URL {
            let url = folder.appending(path: name)
            try Data(text.utf8).write(to: url)
            return url
        }

        func read(_ url: URL) async throws -> LoRAFacts {
            counts.withLock { $0[url.lastPathComponent, default: 0] += 1 }
            _ = await released.wait()
            if let failure = failure.withLock({ failure in
                defer { failure = nil }
                return failure
            }) {
                throw failure
            }
            let text = try String(contentsOf: url, encoding: .utf8)
            return try JSONDecoder().decode(
                LoRAFacts.self,
                from: Data(
                    #"{"bytes": \#(text.utf8.count), "thumbnail": "\#(Data(text.utf8).base64EncodedString())"}"#
                        .utf8))
        }

        func count(_ url: URL) -> Int { counts.withLock { $0[url.lastPathComponent] ?? 0 } }
    }

    private func thumbnail(_ knowledge: LoRAFactsCache.Knowledge?) -> String? {
        guard case .facts(let facts)? = knowledge else { return nil }
        return facts.thumbnail.map { String(decoding: $0, as: UTF8.self) }
    }

    @Test("a version of a file is read once; a changed one again")
    func versions() async throws {
        let bench = try Bench()
        let cache = LoRAFactsCache { try await bench.read($0) }
        let (one, two) = (try bench.write("one"), try bench.write("two"))
        for _ in 0..<3 {
            let known = await cache.knowledge(of: [one, two], atMost: .seconds(30))
            #expect(known.map(thumbnail) == ["text", "text"])
        }
        #expect(bench.count(one) == 1 && bench.count(two) == 1)
        _ = try bench.write("one", "other")
        let known = await cache.knowledge(of: [one, two], atMost: .seconds(30))
        #expect(known.map(thumbnail) == ["other", "text"])
        #expect(bench.count(one) == 2 && bench.count(two) == 1)
    }

    @Test("files that are added and removed leave nothing behind, also if they are never listed")
    func recorded() async throws {
        let bench = try Bench()
        // Room for the facts of two files: a third one would not be recorded.
        let cache = LoRAFactsCache(maximumFiles: 2, maximumBytes: 11) { try await bench.read($0) }
        var file = try bench.write("one")
        for text in ["first", "second", "third!"] {
            file = try bench.write("one", text)
            await cache.record(try await bench.read(file), of: file)
        }
        for text in ["a", "b", "c"] {
            let other = try bench.write(text, text)
            await cache.record(try await bench.read(other), of: other)
            try FileManager.default.removeItem(at: other)
            await cache.forget(other)
        }
        let last = try bench.write("last")
        await cache.record(try await bench.read(last), of: last)
        let reads = (bench.count(file), bench.count(last))
        let known = await cache.knowledge(of: [file, last], atMost: .seconds(30))
        #expect(known.map(thumbnail) == ["third!", "text"])
        // Both were known.
        #expect(bench.count(file) == reads.0 && bench.count(last) == reads.1)
    }

    @Test("a file that cannot be used is not read again; one that was not read is")
    func failures() async throws {
        let bench = try Bench()
        let cache = LoRAFactsCache { try await bench.read($0) }
        let file = try bench.write("one")
        bench.failure.withLock { $0 = ProgramFailure.notStarted("no memory") }
        #expect(await cache.knowledge(of: [file], atMost: .seconds(30)) == [.pending(4)])
        bench.failure.withLock { $0 = LoRAFacts.Refusal(message: "no") }
        for _ in 0..<3 {
            #expect(await cache.knowledge(of: [file], atMost: .seconds(30)) == [.unreadable])
        }
        #expect(bench.count(file) == 2)
    }

    @Test("a list does not wait longer than it may, and the file is read nevertheless")
    func pending() async throws {
        let bench = try Bench(isReleased: false)
        let cache = LoRAFactsCache(width: 1) { try await bench.read($0) }
        let files = [try bench.write("one"), try bench.write("two")]
        for limit in [Duration.zero, .milliseconds(20)] {
            #expect(
                await cache.knowledge(of: files, atMost: limit) == [.pending(4), .pending(4)])
        }
        bench.released.fulfil(())
        let known = await cache.knowledge(of: files, atMost: .seconds(30))
        #expect(known.map(thumbnail) == ["text", "text"])
        #expect(files.map(bench.count) == [1, 1])
    }

    @Test("number of files and bytes of thumbnails are bounded")
    func bounds() async throws {
        let bench = try Bench()
        let cache = LoRAFactsCache(maximumFiles: 3, maximumBytes: 8) { try await bench.read($0) }
        let files = try (0..<5).map { try bench.write("\($0)") }
        for _ in 0..<2 {
            let known = await cache.knowledge(of: files, atMost: .seconds(30))
            #expect(known.compactMap(thumbnail).count == 2)
            #expect(known[3...] == [.unreadable, .unreadable])
        }
        #expect(files.map(bench.count) == [1, 1, 1, 0, 0])
        // Files that are no longer listed make room.
        let known = await cache.knowledge(of: [files[3], files[4]], atMost: .seconds(30))
        #expect(known.compactMap(thumbnail).count == 2)
    }

    @Test("a file's thumbnail is decoded, reduced and listed; other metadata is not an image")
    func listed() async throws {
        let bench = try Bench()
        let registry = LoRARegistry(folder: bench.folder, models: [LoRAFile.model])
        try await withGateway(try FakeGenerator(), configure: { $0.loras = registry }) { client in
            let files = [
                "large": try LoRAFile.bytes(thumbnail: 600, 300),
                "small": try LoRAFile.bytes(thumbnail: 20, 10),
                "none": try LoRAFile.bytes(metadata: ["thumbnail": "data:image/png;base64,AAAA"]),
            ]
            for (name, bytes) in files {
                let added = try await client.execute(
                    uri: "/api/loras?name=\(name)", method: .post, body: ByteBuffer(bytes: bytes))
                #expect(added.status == .created)
            }
            let rows = try await client.get("/api/loras").object()["loras"] as? [[String: Any]]
            func size(_ name: String) throws -> [Int]? {
                let row = rows?.first { $0["name"] as? String == name }
                #expect(row?["bytes"] as? Int ?? 0 > 0)
                guard let url = row?["thumbnail"] as? String else { return nil }
                #expect(url.hasPrefix("data:image/png;base64,"))
                let digits = String(url.drop { $0 != "," }.dropFirst())
                let data = try #require(Data(base64Encoded: digits))
                let image = try ImageDecoder.decode([UInt8](data)).image
                return [image.width, image.height]
            }
            #expect(try size("large") == [128, 64])
            #expect(try size("small") == [20, 10])
            #expect(try size("none") == nil)
        }
    }
}
