// Part of Inkstone. Licence: see LICENSE.

import Basics
import Engine
import Foundation
import GRDB
import Imaging
import Parameters
import Service
import Testing

/// The store on the disk: lists, damage, other versions, other servers.
@Suite("The job store")
struct JobStoreTests {
    let folder: TemporaryFolder
    let engine = FakeEngine()
    private var data: URL { folder.url.appending(path: "data") }

    init() throws { folder = try TemporaryFolder() }

    @Test("lists are the newest first, by state, owner and text, page by page")
    func lists() async throws {
        let store = try JobStore(folder: data)
        for (prompt, owner) in [
            ("a cat", "ann"), ("a dog", "bob"), ("Cats", "ann"), ("一只猫", "ann"),
        ] {
            _ = try await store.insert(
                try engine.request(prompt), model: "example", Submission(owner: owner))
        }
        let all = try await store.jobs(JobQuery(.all))
        #expect(all.map(\.request.prompt) == ["一只猫", "Cats", "a dog", "a cat"])
        let cats = try await store.jobs(JobQuery(.owner("ann"), text: "cat"))
        #expect(cats.map(\.request.prompt) == ["Cats", "a cat"])
        let searches = [("A  dog", ["a dog"]), ("CAT a", ["Cats", "a cat"]), ("dog cat", [])]
        for (text, prompts) in searches {
            let found = try await store.jobs(JobQuery(.all, text: text))
            #expect(found.map(\.request.prompt) == prompts, "\(text)")
        }
        try await store.finish(all[1].id, JobEnd(.failed, "x"))
        #expect(try await store.jobs(JobQuery(.all, states: [.failed])).map(\.id) == [all[1].id])
        let page = try await store.jobs(JobQuery(.all, before: all[1].id, limit: 1))
        #expect(page.map(\.id) == [all[2].id])
        #expect(try await store.jobs(JobQuery(.all, text: "%' OR 1")).isEmpty)
    }

    @Test("a final state is final")
    func final() async throws {
        let store = try JobStore(folder: data)
        let (job, _) = try await store.insert(
            try engine.request(), model: "example", Submission())
        #expect(try await store.remove([job.id]) == 0, "what is not final stays")
        try await store.finish(job.id, JobEnd(.cancelled))
        try await store.start(job.id)
        try await store.finish(job.id, JobEnd(.succeeded))
        #expect(try await store.job(job.id, for: .all)?.state == .cancelled)
        #expect(try await store.remove([job.id]) == 1)
        #expect(try await store.job(job.id, for: .all) == nil)
    }

    @Test("an image's device, kernels and precision are stored with it, if they are known")
    func origins() async throws {
        let store = try JobStore(folder: data)
        let picture = try FakeEngine.image(seed: 7, size: PixelSize(width: 32, height: 16))
        let png = try ImageEncoder.encode(picture)
        let known = ImageOrigin(device: "vulkan:1", kernels: "vulkan Card", precision: "int8")
        let (job, _) = try await store.insert(
            try engine.request(count: 2), model: "example", Submission())
        for (index, origin) in [known, nil].enumerated() {
            var image = GeneratedImage(
                index: index, seed: 7, image: picture, pixelDigest: "00", promptTruncated: false,
                seconds: Timings(text: 0, steps: [], decode: 0, total: 0))
            image.origin = origin
            try await store.add(image, png: png, to: job.id)
        }
        let stored = try #require(try await store.job(job.id, for: .all))
        #expect(stored.images.map(\.origin) == [known, nil])
    }

    @Test("a second server in the same folder is refused")
    func locked() throws {
        let store = try JobStore(folder: data)
        let error = #expect(throws: JobStoreError.self) { _ = try JobStore(folder: data) }
        #expect(error?.code == .inUse)
        #expect(error?.message.contains(data.path) == true)
        withExtendedLifetime(store) {}
    }

    /// Ways in which a database is damaged.
    enum Damage: String, CaseIterable {
        case overwritten, zeros, truncated, empty, missing, foreign

        func damage(_ url: URL) throws {
            var bytes = try Data(contentsOf: url)
            switch self {
            case .overwritten:
                for index in stride(from: 4096, to: bytes.count, by: 3) { bytes[index] = 0xAA }
            case .zeros: bytes = Data(count: bytes.count)
            case .truncated: bytes = bytes.prefix(bytes.count / 2)
            case .empty: bytes = Data()
            case .missing: return try FileManager.default.removeItem(at: url)
            case .foreign: bytes = Data("This is a diary.".utf8)
            }
            try bytes.write(to: url)
        }
    }

    @Test("a damaged database ends the start, and nothing is changed", arguments: Damage.allCases)
    func damaged(_ damage: Damage) async throws {
        let url = data.appending(path: "jobs.sqlite")
        do {
            let store = try JobStore(folder: data)
            for _ in 0..<200 {
                _ = try await store.insert(
                    try engine.request(), model: "example", Submission())
            }
            _ = try await store.plant(try engine.request(), images: [0], engine: engine)
            try store.close()
        }
        try damage.damage(url)
        let bytes = try? Data(contentsOf: url)
        for _ in 0..<2 {
            let error = #expect(throws: JobStoreError.self) { _ = try JobStore(folder: data) }
            #expect(error?.code == .damaged, "\(error?.message ?? "")")
            #expect(error?.message.contains("inkstone restore BACKUP --data \(data.path)") == true)
        }
        #expect((try? Data(contentsOf: url)) == bytes)
        let images = FileManager.default.enumerator(
            atPath: data.appending(path: "pictures").path)?.compactMap { $0 as? String }
        #expect(images?.filter { $0.hasSuffix(".png") }.count == 1)
        let check = DataFolderCheck(data).run()
        #expect(
            check.findings.contains {
                $0.severity == .problem && $0.text.hasPrefix("jobs: the database")
                    && $0.text.contains("inkstone restore BACKUP")
            }, "\(check.findings)")
        // The folder without the damaged parts begins again.
        for name in ["jobs.sqlite", "pictures", "sources"] {
            try? FileManager.default.removeItem(at: data.appending(path: name))
        }
        #expect(try await JobStore(folder: data).jobs(JobQuery(.all)).isEmpty)
    }

    @Test("a database of a newer version is left alone")
    func newer() async throws {
        do { _ = try JobStore(folder: data) }
        let path = data.appending(path: "jobs.sqlite").path
        do {
            let database = try DatabaseQueue(path: path)
            try await database.write {
                try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('99 of the future')")
            }
            try database.close()
        }
        let error = #expect(throws: JobStoreError.self) { _ = try JobStore(folder: data) }
        #expect(error?.code == .newer)
    }

    @Test("a folder that cannot be made is named")
    func unusable() throws {
        let file = folder.url.appending(path: "file")
        try Data().write(to: file)
        let error = #expect(throws: JobStoreError.self) {
            _ = try JobStore(folder: file.appending(path: "data"))
        }
        #expect(error?.code == .unusable)
        #expect(error?.message.contains("--data") == true)
    }

    @Test("picture files: one for equal bytes, whole, and only under their own name")
    func files() throws {
        let files = try ImageFiles(folder: data)
        let bytes: [UInt8] = [1, 2, 3]
        let name = try files.store(bytes)
        #expect(try files.store(bytes) == name)
        #expect(files.read(name) == bytes)
        for foreign in ["", "../\(name)", String(repeating: "Z", count: 64), name + "0"] {
            #expect(files.read(foreign) == nil)
        }
        let path = data.appending(path: "\(name.prefix(2))/\(name).png")
        try Data([1, 2]).write(to: path)
        #expect(files.read(name) == nil, "a file that does not match its name is not an image")
        files.remove(name)
        #expect(!FileManager.default.fileExists(atPath: path.path))
    }

    @Test("a request survives the way through text, its pixels apart")
    func codable() throws {
        let source = try FakeEngine.image(seed: 0xABCDEF, size: PixelSize(width: 16, height: 16))
        for request in [
            try engine.request("猫 \u{0} \"", seed: 1 << 62), try engine.request(source: source),
        ] {
            let text = try JSONEncoder().encode(request)
            let back = try JSONDecoder().decode(ImageRequest.self, from: text)
            #expect(back == request.with(source: nil))
            #expect(back.strength == request.strength)
            #expect(!String(decoding: text, as: UTF8.self).contains("png"))
        }
    }
}

extension JobStore {
    /// Leaves a running job without a caller, with some images done, as a killed process does.
    func plant(
        _ request: ImageRequest, images: [Int], engine: FakeEngine
    ) async throws -> String {
        let (job, _) = try await insert(
            request, model: "example", Submission(isDetached: true))
        try await start(job.id)
        for index in images {
            let seed = request.seed &+ UInt64(index)
            let image = try FakeEngine.image(seed: seed, size: request.size)
            let png = try ImageEncoder.encode(image)
            var generated = GeneratedImage(
                index: index, seed: seed, image: image,
                pixelDigest: SHA256.hexadecimal(image.pixels), promptTruncated: false,
                seconds: Timings(text: 0, steps: [], decode: 0, total: 0))
            generated.loras = [LoRANote(name: "ink", scale: 0.5, matched: 3, unmatched: 1)]
            try await add(generated, png: png, to: job.id)
        }
        return job.id
    }
}
