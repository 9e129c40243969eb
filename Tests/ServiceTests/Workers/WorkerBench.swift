// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Imaging
import Logging
import ModelFiles
import Parameters
import Service
import Synchronization
import Tensors
import Testing
import ZImage

/// What tests of workers need: the program, the embedded model, and images to compare with.
enum WorkerBench {
    /// The checkout that these tests belong to.
    static let repository = URL(filePath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The folder of the model that comes with the program.
    static let model = repository.appending(path: "Models/emoji-nano")

    /// The program beside the test bundle, or the one that `INKSTONE_PROGRAM` names.
    static func program() throws -> String {
        if let path = ProcessInfo.processInfo.environment["INKSTONE_PROGRAM"] { return path }
        let places =
            [Bundle.main.executableURL, Bundle.main.bundleURL, URL(filePath: "/proc/self/exe")]
            .compactMap { $0?.resolvingSymlinksInPath() } + Bundle.allBundles.map(\.bundleURL)
        for place in places {
            var folder = place
            for _ in 0..<4 {
                folder = folder.deletingLastPathComponent()
                let program = folder.appending(path: "inkstone").path
                var isFolder = ObjCBool(false)
                if FileManager.default.fileExists(atPath: program, isDirectory: &isFolder),
                    !isFolder.boolValue
                {
                    return program
                }
            }
        }
        throw CocoaError(.fileNoSuchFile)
    }

    /// The embedded model in f32 on one thread.
    static var launch: ModelLaunch {
        var launch = ModelLaunch(folder: model)
        launch.precision = .f32
        launch.threads = 1
        launch.keepsWeights = false
        return launch
    }

    /// Runs a test with a pool, which is shut down afterwards.
    static func withPool(
        logs: PoolLog = PoolLog(), metrics: EngineMetrics? = nil,
        configure: (inout WorkerSettings) -> Void = { _ in },
        _ body: (WorkerPool) async throws -> Void
    ) async throws {
        var settings = WorkerSettings()
        settings.program = try program()
        let folder = FileManager.default.temporaryDirectory.appending(
            path: "ink-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        settings.temporaryFolder = folder
        configure(&settings)
        let pool = try WorkerPool(
            settings: settings, metrics: metrics, logger: Logger(label: "test") { _ in logs })
        do {
            try await body(pool)
        } catch {
            await pool.shutdown(grace: .zero)
            throw error
        }
        await pool.shutdown()
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
    }

    /// A small request.
    static func request(
        _ model: ModelDescription, steps: Int = 3, count: Int = 1, seed: UInt64 = 7,
        change: (inout ImageRequest.Draft) -> Void = { _ in }
    ) throws -> ImageRequest {
        var draft = ImageRequest.Draft(prompt: "a red apple, 红苹果")
        (draft.width, draft.height) = (64, 48)
        draft.steps = steps
        draft.count = count
        draft.seed = seed
        change(&draft)
        return try ImageRequest(draft, for: model)
    }

    /// The images' digests as this process draws them.
    static func expected(_ request: ImageRequest) throws -> [String] {
        let pipeline = try Pipeline(
            model: try ModelDirectory(url: model),
            device: try CPUBackend(precision: .f32, threads: 2))
        var digests = Array(repeating: "", count: request.count)
        try InferenceEngine(pipeline: pipeline).run(request, isCancelled: { false }) { event in
            if case .image(let image) = event { digests[image.index] = image.pixelDigest }
        }
        return digests
    }

    /// The one worker's process.
    static func pid(_ pool: WorkerPool, replica: Int = 0) async throws -> Int32 {
        try #require(await pool.report().first?.replicas[replica].pid)
    }

    /// What the one worker says of itself.
    static func status(_ pool: WorkerPool) async throws -> WorkerStatus {
        // Other tests may keep all threads of this process busy for longer than a worker is waited for.
        var status: WorkerStatus?
        _ = try await wait {
            status = await pool.report().first?.replicas.first?.status
            return status != nil
        }
        return try #require(status)
    }

    /// Waits until something is so.
    static func wait(
        seconds: Double = 30, _ condition: () async throws -> Bool
    ) async throws -> Bool {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < deadline {
            if try await condition() { return true }
            try await Task.sleep(for: .milliseconds(20))
        }
        return false
    }

    /// Whether a process is there and not a zombie.
    static func isAlive(_ pid: Int32) -> Bool {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
            let end = text.lastIndex(of: ")")
        else { return false }
        return text[end...].split(separator: " ").dropFirst().first != "Z"
    }
}

/// The events and images of a request.
struct Outcome: Sendable {
    var story: [String] = []
    var digests: [Int: String] = [:]
    var pixels: [Int: [UInt8]] = [:]
    /// Devices and kernels that generated the images.
    var origins: Set<ImageOrigin?> = []

    /// Reads a stream to its end.
    ///
    /// - Parameter onStep: called at every step, with how often the request was started.
    init(
        _ events: JobEventStream,
        onStep: (_ runs: Int) async throws -> Void = { _ in }
    ) async throws {
        var runs = 0
        for try await event in events {
            switch event {
            case .queued: story.append("queued")
            case .started:
                runs += 1
                story.append("started")
            case .step(let image, let step, let steps, _):
                story.append("step \(image) \(step)/\(steps)")
                try await onStep(runs)
            case .preview(let image, let step, let picture):
                #expect(picture.pixels.count == 3 * picture.width * picture.height)
                story.append("preview \(image) \(step)")
            case .image(let image):
                #expect(digests[image.index] == nil, "picture \(image.index) came twice")
                digests[image.index] = image.pixelDigest
                pixels[image.index] = image.image.pixels
                origins.insert(image.origin)
                story.append("image \(image.index) \(image.seed)")
            }
        }
    }

    /// The digests in order.
    var list: [String] { digests.sorted { $0.key < $1.key }.map(\.value) }
}

/// Keeps the lines of a pool's log.
struct PoolLog: LogHandler {
    final class Lines: Sendable {
        let all = Mutex<[String]>([])
    }

    let lines = Lines()
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        lines.all.withLock { $0.append("\(event.message)") }
    }

    /// Messages that begin so.
    func count(_ prefix: String) -> Int {
        lines.all.withLock { $0.count { $0.hasPrefix(prefix) } }
    }
}
