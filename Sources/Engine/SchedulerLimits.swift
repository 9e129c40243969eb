// Part of Inkstone. Licence: see LICENSE.

/// How much an engine takes on at once.
public struct SchedulerLimits: Sendable, Equatable {
    /// Requests that share the device; the others wait.
    public var running: Int
    /// Requests that may wait; more are refused as busy.
    public var waiting: Int
    /// Tokens of one pass through the transformer; a picture that is larger alone passes alone.
    ///
    /// More tokens in a pass serve more pictures a second, until the kernels are busy; fewer let
    /// everybody's next step come sooner.
    public var passTokens: Int

    /// Limits of the given sizes.
    public init(running: Int = 64, waiting: Int = 64, passTokens: Int = 400) {
        self.running = max(1, running)
        self.waiting = max(0, waiting)
        self.passTokens = max(1, passTokens)
    }
}

/// One pass through the transformer, for whoever counts them.
public struct PassReport: Sendable, Equatable, Codable {
    /// Pictures that moved one step on.
    public var images: Int
    /// Tokens of all their sequences.
    public var tokens: Int
    /// What it took, without the passes that came between its layers.
    public var seconds: Double

    /// A pass of the given size.
    public init(images: Int, tokens: Int, seconds: Double) {
        self.images = images
        self.tokens = tokens
        self.seconds = seconds
    }
}
