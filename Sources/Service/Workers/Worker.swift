// Part of Inkstone. Licence: see LICENSE.

import Engine
import NIOCore
import Synchronization

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// A process that has loaded its model.
final class Worker: Sendable {
    let process: WorkerProcess
    let client: WorkerClient
    let model: ModelDescription
    let readySince = ContinuousClock.now
    private let hasFinished = Atomic(false)
    private let counted = Atomic(0)

    /// Passes that were taken from it; one asks at a time.
    var countedPasses: Int {
        get { counted.load(ordering: .relaxed) }
        set { counted.store(newValue, ordering: .relaxed) }
    }

    init(process: WorkerProcess, client: WorkerClient, model: ModelDescription) {
        self.process = process
        self.client = client
        self.model = model
    }

    /// Whether it has proved itself, so that its death says nothing about the next one.
    func isHealthy(after age: Duration) -> Bool {
        hasFinished.load(ordering: .relaxed) || ContinuousClock.now - readySince >= age
    }

    /// Runs a request and kills the process if it stops giving signs of life.
    ///
    /// - Throws: `GenerationError` or `CancellationError` as the worker says; `WorkerLost` when it
    ///   went away.
    func run(
        _ request: ImageRequest, hangTimeout: Duration,
        onEvent: @escaping @Sendable (JobEvent) -> Void
    ) async throws {
        let frame = try WorkerFrame.encode(
            WorkerCall(request), payload: WorkerCall.pixels(of: request))
        let life = SignsOfLife()
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                defer { group.cancelAll() }
                group.addTask { [client] in
                    try await client.run(frame) { message, pixels in
                        if case .alive(let pulse) = message {
                            life.note(pulse: pulse)
                        } else if let event = try message.event(pixels: pixels) {
                            life.note()
                            onEvent(event)
                        }
                    }
                }
                group.addTask { [process] in
                    while life.silence < hangTimeout {
                        try await Task.sleep(for: hangTimeout - life.silence + .milliseconds(10))
                    }
                    process.send(SIGKILL)
                    throw WorkerLost("it gave no sign of life for \(hangTimeout)")
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

/// When a worker was last seen to move.
private final class SignsOfLife: Sendable {
    private let last = Mutex((time: ContinuousClock.now, pulse: -1))

    /// How long ago that was.
    var silence: Duration { ContinuousClock.now - last.withLock { $0.time } }

    func note() {
        last.withLock { $0.time = .now }
    }

    /// A heartbeat counts if its engine has moved.
    func note(pulse: Int) {
        last.withLock { if $0.pulse != pulse { $0 = (.now, pulse) } }
    }
}
