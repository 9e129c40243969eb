// Part of Inkstone. Licence: see LICENSE.

import Engine
import NIOCore
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A process that has loaded its model.
final class Worker: Sendable {
    /// Longest pause between two looks at a heartbeat.
    private static let longestPause = Duration.seconds(5)

    let process: WorkerProcess
    let client: WorkerClient
    let model: ModelDescription
    /// Its device in the words of `--device`, if it publishes it.
    let device: String?
    /// Expected seconds of an evaluation for each pixel of an image.
    let secondsPerPixel: Double?
    let readySince = ContinuousClock.now
    private let hasFinished = Atomic(false)
    private let counted = Atomic(0)

    /// Passes that were taken from it; one asks at a time.
    var countedPasses: Int {
        get { counted.load(ordering: .relaxed) }
        set { counted.store(newValue, ordering: .relaxed) }
    }

    init(
        process: WorkerProcess, client: WorkerClient, model: ModelDescription, device: String?,
        secondsPerPixel: Double?
    ) {
        self.process = process
        self.client = client
        self.model = model
        self.device = device
        self.secondsPerPixel = secondsPerPixel
    }

    /// Whether it has finished a request or run for some time, so that its end does not predict that of
    /// the next one.
    func isHealthy(after age: Duration) -> Bool {
        hasFinished.load(ordering: .relaxed) || ContinuousClock.now - readySince >= age
    }

    /// Runs a request, and kills the process if it makes no progress for `hangTimeout`.
    ///
    /// - Throws: `GenerationError` or `CancellationError` as the worker says; `WorkerLost` when it
    ///   ended.
    func run(
        _ request: ImageRequest, hangTimeout: Duration,
        onEvent: @escaping @Sendable (JobEvent) -> Void
    ) async throws {
        let frame = try WorkerFrame.encode(
            WorkerCall(request), payload: WorkerCall.pixels(of: request))
        let heartbeat = Heartbeat()
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                defer { group.cancelAll() }
                group.addTask { [client] in
                    try await client.run(frame) { message, pixels in
                        if case .alive(let count) = message {
                            heartbeat.record(count)
                        } else if let event = try message.event(pixels: pixels) {
                            heartbeat.record()
                            onEvent(event)
                        }
                    }
                }
                group.addTask { [process] in
                    while heartbeat.age < hangTimeout {
                        let rest = hangTimeout - heartbeat.age + .milliseconds(10)
                        // Dispatch keeps the timer of a cancelled sleep until it would have fired.
                        try await Task.sleep(for: min(rest, Self.longestPause))
                    }
                    process.send(SIGKILL)
                    throw WorkerLost("it sent no heartbeat for \(hangTimeout)")
                }
                try await group.next()
            }
        } catch let error as GenerationError {
            throw error
        } catch is CancellationError {
            throw CancellationError()
        } catch let error as WorkerLost {
            throw error
        } catch {
            // A closed connection, a socket that is not there, or half a message.
            try Task.checkCancellation()
            throw WorkerLost("\(error)")
        }
        hasFinished.store(true, ordering: .relaxed)
    }
}

/// When a worker last reported progress.
private final class Heartbeat: Sendable {
    private let last = Mutex((time: ContinuousClock.now, count: -1))

    /// Time since the last progress.
    var age: Duration { ContinuousClock.now - last.withLock { $0.time } }

    /// Records an event, which is progress.
    func record() {
        last.withLock { $0.time = .now }
    }

    /// Records a heartbeat, which is progress if the engine's count has changed.
    func record(_ count: Int) {
        last.withLock { if $0.count != count { $0 = (.now, count) } }
    }
}
