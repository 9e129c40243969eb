// Part of Inkstone. Licence: see LICENSE.

/// How often, and for how long, something that fails is tried again.
package struct RetryPolicy: Sendable {
    /// Pause after a failure.
    package var pause: Duration
    /// Growth of the pause with each failure, up to `longestPause`.
    package var growth = Duration.zero
    /// The longest pause.
    package var longestPause = Duration.seconds(1)
    /// Time after which a failure is final.
    package var limit: Duration
    /// Measures the time.
    package var clock: any Clock<Duration> = ContinuousClock()

    /// A policy with equal pauses.
    package init(pause: Duration, limit: Duration) {
        self.pause = pause
        self.limit = limit
    }

    /// A policy that does not give up, with pauses that grow to five seconds.
    package static var untilDone: RetryPolicy {
        var policy = RetryPolicy(pause: .milliseconds(250), limit: .seconds(1 << 40))
        policy.growth = .milliseconds(250)
        policy.longestPause = .seconds(5)
        return policy
    }

    /// Runs `body` until it succeeds.
    ///
    /// - Parameters:
    ///   - isTransient: Whether another try may succeed.
    ///   - body: What to run.
    /// - Returns: The value of `body`.
    /// - Throws: The first error that is not transient, the first one after the limit, or
    ///   `CancellationError`.
    package func run<Value: Sendable>(
        while isTransient: (any Error) -> Bool, _ body: () async throws -> Value
    ) async throws -> Value {
        try await run(on: clock, while: isTransient, body)
    }

    private func run<Value: Sendable>(
        on clock: some Clock<Duration>, while isTransient: (any Error) -> Bool,
        _ body: () async throws -> Value
    ) async throws -> Value {
        let start = clock.now
        var next = pause
        while true {
            do {
                return try await body()
            } catch  where isTransient(error) && start.duration(to: clock.now) < limit {
                try await clock.sleep(for: min(next, longestPause))
                next += growth
            }
        }
    }
}
