// Part of Inkstone. Licence: see LICENSE.

/// Limits of running and waiting requests, and of a pass.
public struct SchedulerLimits: Sendable, Equatable {
    /// Requests that share the device; the others wait.
    public var running: Int
    /// Maximum number of waiting requests; more are rejected as busy.
    public var waiting: Int
    /// Tokens of one pass through the transformer; a larger image is processed alone.
    ///
    /// More tokens per pass increase the throughput until the kernels are saturated; fewer reduce the
    /// latency of each step.
    public var passTokens: Int

    /// Limits of the given sizes.
    public init(running: Int = 64, waiting: Int = 64, passTokens: Int = 400) {
        self.running = max(1, running)
        self.waiting = max(0, waiting)
        self.passTokens = max(1, passTokens)
    }
}

/// Statistics of one pass through the transformer.
public struct PassReport: Sendable, Equatable, Codable {
    /// Number of images that advanced by a step.
    public var images: Int
    /// Tokens of all their sequences.
    public var tokens: Int
    /// Its duration, without passes that interrupted it between layers.
    public var seconds: Double

    /// A pass of the given size.
    public init(images: Int, tokens: Int, seconds: Double) {
        self.images = images
        self.tokens = tokens
        self.seconds = seconds
    }
}
