// Part of Inkstone. Licence: see LICENSE.

/// The events of one request, from their producer to one reader.
///
/// **Cancellation.** The stream owns its producer: when the reader's task is cancelled, or when the
/// stream and its iterators are released before the end, the producer is cancelled. A cancelled
/// reader receives `CancellationError`. `AsyncThrowingStream` ends a cancelled iteration without an
/// error, as if the producer had finished, so that each loop over it needs a check behind it; where
/// the check is missing, the first images of a request pass for all of them. No loop over this type
/// needs one.
///
/// **Buffering.** The producer never waits for the reader. `bufferLimit` bounds the places, steps and
/// previews that wait for a slow reader: beyond it, the oldest of them is dropped. The start of work
/// and finished images are never dropped.
///
/// **Numbering.** A request that runs again without its first images counts the remaining ones from
/// 0; `numbered(from:)` restores the client's numbers.
public struct JobEventStream: AsyncSequence, Sendable {
    /// Places, steps and previews that may wait for the reader.
    ///
    /// Previews of the largest model are 48 kB each.
    public static let bufferLimit = 512

    /// How a stream ended.
    public enum End: Sendable {
        /// The producer finished.
        case ok
        /// The reader left, or the producer ended with `CancellationError`.
        case cancelled
        /// The producer failed.
        case failed(any Error)
    }

    private let buffer: EventBuffer
    private let reader: Reader
    private var offset = 0

    private init(_ buffer: EventBuffer) {
        self.buffer = buffer
        reader = Reader(buffer)
    }

    /// Creates a stream whose producer runs in its own task.
    ///
    /// - Parameter produce: Yields the events; the stream ends when it returns or throws. It runs in a
    ///   task that is cancelled when the reader leaves.
    public init(_ produce: @escaping @Sendable (_ feed: Feed) async throws -> Void) {
        self.init(EventBuffer())
        let feed = Feed(buffer)
        let task = Task {
            do {
                try await produce(feed)
                feed.finish()
            } catch {
                feed.finish(throwing: error)
            }
        }
        buffer.onCancel { task.cancel() }
    }

    /// A stream of events that have happened already.
    ///
    /// - Parameters:
    ///   - events: What the reader receives.
    ///   - error: What the iteration throws after them, if anything.
    public init(_ events: [JobEvent], throwing error: (any Error)? = nil) {
        self.init(EventBuffer())
        for event in events { buffer.yield(event) }
        buffer.finish(throwing: error)
    }

    /// Makes a stream whose events come from elsewhere, such as an engine's thread.
    ///
    /// - Returns: The stream and the feed that its producer yields to.
    public static func makeStream() -> (stream: JobEventStream, feed: Feed) {
        let buffer = EventBuffer()
        return (JobEventStream(buffer), Feed(buffer))
    }

    /// Calls functions at each event and at the end, at the moment they are produced and whether or
    /// not the reader keeps up.
    ///
    /// Register observers before the first event is read. Events that wait already are reported at
    /// once. Observers run under the stream's lock and must not use the stream.
    ///
    /// - Parameters:
    ///   - onEvent: Receives each event, with the producer's numbers.
    ///   - onEnd: Receives the end, once; nothing follows it.
    /// - Returns: The same stream.
    public func observe(
        onEvent: @escaping @Sendable (JobEvent) -> Void,
        onEnd: @escaping @Sendable (End) -> Void
    ) -> JobEventStream {
        buffer.observe(EventBuffer.Observer(onEvent: onEvent, onEnd: onEnd))
        return self
    }

    /// The same stream with images numbered from `first` on.
    public func numbered(from first: Int) -> JobEventStream {
        var stream = self
        stream.offset += first
        return stream
    }

    /// Returns an iterator over the events that have not been read.
    public func makeAsyncIterator() -> Iterator {
        Iterator(buffer: buffer, reader: reader, offset: offset)
    }

    /// Reads a stream; releasing it before the end cancels the producer unless the stream is still
    /// referenced.
    public struct Iterator: AsyncIteratorProtocol, Sendable {
        fileprivate let buffer: EventBuffer
        fileprivate let reader: Reader
        fileprivate let offset: Int

        /// Waits for the next event.
        ///
        /// - Returns: The event, or `nil` when the producer has finished.
        /// - Throws: What the producer failed with; `CancellationError` in a cancelled task.
        public mutating func next() async throws -> JobEvent? {
            try await buffer.next()?.numbered(from: offset)
        }
    }

    /// A producer's end of a stream.
    public struct Feed: Sendable {
        private let buffer: EventBuffer

        fileprivate init(_ buffer: EventBuffer) { self.buffer = buffer }

        /// Whether the stream has ended, or its reader has left.
        public var isEnded: Bool { buffer.isEnded }

        /// Appends an event; without effect after the end.
        public func yield(_ event: JobEvent) { buffer.yield(event) }

        /// Ends the stream after the events that were yielded; without effect after the end.
        public func finish(throwing error: (any Error)? = nil) { buffer.finish(throwing: error) }

        /// Calls a function when the reader leaves before the end, at once if it has left.
        public func onCancel(_ cancel: @escaping @Sendable () -> Void) { buffer.onCancel(cancel) }

        /// Yields all events of another stream.
        ///
        /// - Throws: What the other stream ends with.
        public func forward(_ events: JobEventStream) async throws {
            for try await event in events { yield(event) }
        }
    }

    /// Cancels the producer when the last reference on the reader's side is released.
    fileprivate final class Reader: Sendable {
        private let buffer: EventBuffer

        init(_ buffer: EventBuffer) { self.buffer = buffer }

        deinit { buffer.cancel() }
    }
}

extension JobEvent {
    /// The event of a request whose image 0 is image `first` for the client.
    public func numbered(from first: Int) -> JobEvent {
        guard first != 0 else { return self }
        switch self {
        case .queued, .started: return self
        case .step(let image, let step, let steps, let seconds):
            return .step(image: image + first, step: step, steps: steps, seconds: seconds)
        case .preview(let image, let step, let preview):
            return .preview(image: image + first, step: step, preview)
        case .image(var image):
            image.index += first
            return .image(image)
        }
    }

    /// Whether a slow reader may miss the event.
    var isDroppable: Bool {
        switch self {
        case .queued, .step, .preview: true
        case .started, .image: false
        }
    }
}
