// Part of Inkstone. Licence: see LICENSE.

package import Engine
import Foundation
public import Imaging
import Parameters
import Synchronization

/// The progress of a job.
public struct JobProgress: Sendable, Equatable {
    /// Others that begin before it; `nil` once it has begun.
    public var place: Int?
    /// Steps done, of all images together.
    public var stepsDone: Int
    /// Steps of all images together.
    public var steps: Int
    /// Finished images.
    public var images: Int
    /// The newest preview.
    public var preview: RGBImage?
    /// Seconds until the last step at the pace so far; `nil` before the first one.
    public var secondsLeft: Double?

    /// From 0 to 1.
    public var share: Double { steps == 0 ? 0 : Double(stepsDone) / Double(steps) }
}

/// A job that is not final: its events so far, and its watchers.
package final class LiveJob: Sendable {
    package let id: String
    let request: ImageRequest
    /// The files of the image that it starts from.
    let source: Job.Source?
    let model: String
    /// The id of the API key that submitted it.
    let owner: String?
    /// When it is cancelled if it is not final by then.
    let deadline: Date?
    /// Images that an earlier run of the program finished.
    let earlier: [GeneratedImage]
    /// Evaluations of each image.
    private let evaluations: Int
    private let state: Mutex<State>

    private struct State {
        var isDetached: Bool
        var place: Int?
        var hasStarted = false
        var firstStep: ContinuousClock.Instant?
        var lastStep: ContinuousClock.Instant?
        /// The newest step of each image.
        var steps: [Int: Int] = [:]
        var stepEvents: [Int: JobEvent] = [:]
        var previews: [Int: JobEvent] = [:]
        var lastPreview: RGBImage?
        var images: [Int: GeneratedImage] = [:]
        var watchers: [Int: JobEventStream.Feed] = [:]
        var nextWatcher = 0
        /// What ends streams of events before the job ends.
        var disconnection: (any Error)?
        /// Why it is cancelled, if it is.
        var cancellation: (any Error)?
        /// Called at the end, whatever it is.
        var listeners: [@Sendable () -> Void] = []
        var end: Result<Void, any Error>?
    }

    /// A job as it is stored.
    package init(_ job: Job, earlier: [GeneratedImage], isDetached: Bool) {
        id = job.id
        request = job.request
        source = job.source
        model = job.model
        owner = job.owner
        deadline = job.deadline
        self.earlier = earlier
        evaluations = job.request.evaluations
        var state = State(isDetached: isDetached)
        for image in earlier {
            state.images[image.index] = image
            state.steps[image.index] = evaluations
        }
        self.state = Mutex(state)
    }

    /// The newest events so far, and then all events as they happen.
    ///
    /// `onAbandoned` is called when the last watcher of a job leaves that is not detached.
    package func watch(onAbandoned: @escaping @Sendable () -> Void) -> JobEventStream {
        let (stream, feed) = JobEventStream.makeStream()
        let number = state.withLock { state -> Int? in
            if state.hasStarted {
                feed.yield(.started)
            } else if let place = state.place {
                feed.yield(.queued(position: place))
            }
            for (image, event) in state.stepEvents.sorted(by: { $0.key < $1.key })
            where state.images[image] == nil {
                feed.yield(event)
                if let preview = state.previews[image] { feed.yield(preview) }
            }
            for image in state.images.values.sorted(by: { $0.index < $1.index }) {
                feed.yield(.image(image))
            }
            guard state.end == nil, state.disconnection == nil else { return nil }
            state.watchers[state.nextWatcher] = feed
            state.nextWatcher += 1
            return state.nextWatcher - 1
        }
        guard let number else {
            finish(feed)
            return stream
        }
        feed.onCancel {
            let isAbandoned = self.state.withLock { state in
                state.watchers[number] = nil
                return state.watchers.isEmpty && !state.isDetached && state.end == nil
            }
            if isAbandoned { onAbandoned() }
        }
        return stream
    }

    /// Whether it continues without watchers.
    package var isDetached: Bool { state.withLock { $0.isDetached } }

    /// Why it is cancelled: `CancellationError` where a client has asked for it.
    var cancellation: (any Error)? { state.withLock { $0.cancellation } }

    /// Records why it is cancelled; the first reason stays.
    func recordCancellation(_ reason: any Error) {
        state.withLock { $0.cancellation = $0.cancellation ?? reason }
    }

    /// Ends all streams of events, present and later ones, with an error; the job itself continues.
    package func disconnect(_ error: any Error) {
        let watchers = state.withLock { state in
            state.disconnection = error
            defer { state.watchers = [:] }
            return Array(state.watchers.values)
        }
        for watcher in watchers { watcher.finish(throwing: error) }
    }

    /// Calls a function when the job has ended, at once if it has.
    package func whenEnded(_ listener: @escaping @Sendable () -> Void) {
        let hasEnded = state.withLock { state in
            if state.end == nil { state.listeners.append(listener) }
            return state.end != nil
        }
        if hasEnded { listener() }
    }

    /// Lets the job continue without watchers.
    package func detach() {
        state.withLock { $0.isDetached = true }
    }

    /// Sends an event to all watchers.
    package func publish(_ event: JobEvent) {
        state.withLock { state in
            switch event {
            case .queued(let place):
                guard !state.hasStarted, state.place != place else { return }
                state.place = place
            case .started:
                guard !state.hasStarted else { return }
                state.hasStarted = true
                state.place = nil
            case .step(let image, let step, _, _):
                state.firstStep = state.firstStep ?? .now
                state.lastStep = .now
                state.steps[image] = step
                state.stepEvents[image] = event
            case .preview(let image, _, let preview):
                state.previews[image] = event
                state.lastPreview = preview
            case .image(let image):
                guard state.images[image.index] == nil else { return }
                state.images[image.index] = image
            }
            for watcher in state.watchers.values { watcher.yield(event) }
        }
    }

    /// A finished image.
    package func image(_ index: Int) -> GeneratedImage? { state.withLock { $0.images[index] } }

    /// Number of finished images.
    package var imageCount: Int { state.withLock { $0.images.count } }

    /// Ends the job for all watchers.
    package func end(_ result: Result<Void, any Error>) {
        let (watchers, listeners) = state.withLock { state in
            state.end = state.end ?? result
            defer { (state.watchers, state.listeners) = ([:], []) }
            return (Array(state.watchers.values), state.listeners)
        }
        for watcher in watchers { finish(watcher) }
        for listener in listeners { listener() }
    }

    private func finish(_ watcher: JobEventStream.Feed) {
        let (end, disconnection) = state.withLock { ($0.end, $0.disconnection) }
        switch end {
        case .failure(let error): watcher.finish(throwing: error)
        case .success: watcher.finish()
        case nil: watcher.finish(throwing: disconnection)
        }
    }

    /// Its progress.
    package var progress: JobProgress {
        state.withLock { state in
            let total = evaluations * request.count
            let done = state.steps.values.reduce(0, +)
            let before = earlier.count * evaluations
            var left: Double?
            if let first = state.firstStep, let last = state.lastStep, done - before > 1 {
                let pace = (last - first) / .seconds(1) / Double(done - before - 1)
                left = pace * Double(total - done)
            }
            return JobProgress(
                place: state.place, stepsDone: done, steps: total, images: state.images.count,
                preview: state.lastPreview, secondsLeft: left)
        }
    }
}
