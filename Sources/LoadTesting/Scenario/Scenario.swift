// Part of Inkstone. Licence: see LICENSE.

/// A description of a run: the content of a scenario file.
///
/// - Units: seconds, pixels, shares from 0 to 1.
public struct Scenario: Sendable, Equatable {
    /// Name of the scenario, a part of the result folder's name.
    public var name: String
    /// The server.
    public var target: Target
    /// The device on which the server runs the model.
    public var device = Device()
    /// What the requests ask for.
    public var request: RequestMix
    /// The levels, in order.
    public var levels: [LevelSpec]
    /// Measured time of a level.
    public var hold = 120.0
    /// The hold is extended to 200 images, but not beyond this.
    public var maximumHold = 600.0
    /// Limits of the time before a level is measured.
    public var settle = Settle()
    /// Pause between levels.
    public var cooldown = 5.0
    /// Order in which the levels are visited.
    public var order = Order.ascending
    /// What users would accept.
    public var objectives = ServiceObjectives()
    /// Limits of the audit.
    public var limits = AuditLimits()
    /// Whether the audit sends requests of its own after the levels.
    public var probes = true
    /// Visits of each level.
    public var repeats = 1
    /// Seed of prompts, sizes, image seeds and arrivals.
    public var seed: UInt64 = 1
    /// Capacity of the link to the server in bytes a second.
    public var link: Double?
    /// What energy and the machine cost.
    public var price: Price?

    /// Creates a scenario with the defaults of a scenario file.
    public init(name: String, target: Target, request: RequestMix, levels: [LevelSpec]) {
        self.name = name
        self.target = target
        self.request = request
        self.levels = levels
    }

    /// The order in which levels are visited.
    public enum Order: String, Sendable, CaseIterable {
        /// As listed in the scenario.
        case ascending
        /// Shuffled by the run's seed.
        case shuffled
        /// As listed and then in reverse, so that every level is visited twice.
        case updown
    }

    /// The server.
    public struct Target: Sendable, Equatable {
        /// Base URL, beginning with `http://` or `https://`.
        public var url: String
        /// The interface to use.
        public var dialect = Dialect.openAIStream
        /// Name of the model, for servers with several.
        public var model: String?
        /// Path of a workflow of ComfyUI in its API format, relative to the scenario file.
        public var workflow: String?
        /// The workflow that was read from ``workflow``; `nil` for the built-in one.
        package var workflowNodes: ComfyUIWorkflow?
        /// Sent as a bearer token.
        public var key: String?
        /// An access log on this machine that the server, or a proxy in front of it, writes.
        public var accessLog: String?
        /// Path or URL of the metrics.
        public var metrics: String?
        /// Path or URL that responds with 200 when the server is ready.
        public var ready: String?
        /// How the server's process on this machine is found.
        public var process: ProcessChoice = .automatic

        /// Creates a target with the defaults of a scenario file.
        public init(url: String) { self.url = url }
    }

    /// How the process is found whose memory and processor time are read.
    public enum ProcessChoice: Sendable, Equatable {
        /// The process that listens on the port of the URL, if that is on this machine.
        case automatic
        /// The process with this id.
        case id(Int)
        /// The process that listens on this port.
        case port(Int)
        /// No process is read.
        case none
    }

    /// The device on which the server runs the model.
    public struct Device: Sendable, Equatable {
        /// Name of the device.
        public var name: String?
        /// Number of identical devices.
        public var count = 1
        /// Peak floating point operations a second of one device.
        public var operations: Double?
        /// Memory bandwidth of one device in bytes a second.
        public var bandwidth: Double?

        /// Creates an unknown device.
        public init() {}
    }

    /// Limits of the time before a level is measured.
    public struct Settle: Sendable, Equatable {
        /// Seconds.
        public var minimum = 5.0
        /// Seconds; the level is then measured whether it is steady or not.
        public var maximum = 60.0

        /// Creates the default limits.
        public init() {}
    }
}

/// A value of a mix with its weight.
public struct Weighted<Value: Sendable & Equatable>: Sendable, Equatable {
    /// The value.
    public var value: Value
    /// Its weight, above 0; the sum of all weights is arbitrary.
    public var weight: Double

    /// Creates a value with a weight.
    public init(_ value: Value, weight: Double = 1) {
        self.value = value
        self.weight = weight
    }
}

/// The distribution of what requests ask for.
public struct RequestMix: Sendable, Equatable {
    /// The size of an image in pixels.
    public struct Size: Sendable, Equatable {
        /// Pixels.
        public var width: Int
        /// Pixels.
        public var height: Int

        /// Creates a size.
        public init(width: Int, height: Int) {
            self.width = width
            self.height = height
        }
    }

    /// A LoRA with its scale.
    public struct LoRA: Sendable, Equatable {
        /// Name of the LoRA at the server.
        public var name: String
        /// Scale of the LoRA.
        public var scale: Double

        /// Creates a LoRA with its scale.
        public init(name: String, scale: Double) {
            self.name = name
            self.scale = scale
        }
    }

    /// Template of the prompt: `{keyword}` is replaced by a word of the keyword's list.
    public var prompt: String
    /// The negative prompt, `nil` for none.
    public var negativePrompt: String?
    /// The words of each keyword.
    public var keywords: [String: [String]] = [:]
    /// A file with the prompts, which fill the slot `{prompt}`; `nil` for none.
    public var prompts: PromptFile?
    /// Sizes.
    public var sizes: [Weighted<Size>]
    /// Numbers of steps.
    public var steps: [Weighted<Int>] = [Weighted(8)]
    /// The pipeline's own g in `pos + g (pos - neg)`, 0 for none.
    public var guidance = 0.0
    /// LoRAs; `nil` is a request without one.
    public var loras: [Weighted<LoRA?>] = [Weighted(nil)]
    /// Requests that change an image; `nil` for none.
    public var edits: Edits?
    /// The ControlNet; `nil` for none.
    public var control: Control?
    /// Number of turns of a session: each turn after the first changes the image of the one before it.
    public var turns = 1
    /// Number of previews, 0 to 3.
    public var partialImages = 0
    /// File format: `png`, `jpeg` or `webp`.
    public var format = "png"
    /// Timeout of a request in seconds.
    public var timeout = 60.0

    /// Creates a mix with the defaults of a scenario file.
    public init(prompt: String, sizes: [Weighted<Size>]) {
        self.prompt = prompt
        self.sizes = sizes
    }
}

/// An entry of `levels`, which may stand for several levels.
public enum LevelSpec: Sendable, Equatable {
    /// The rate of an open loop.
    public enum Rate: Sendable, Equatable {
        /// Requests a second.
        case absolute(Double)
        /// A share of the throughput at the knee of the preceding closed levels.
        case ofKnee(Double)
    }

    /// Closed loops, one level for each number of users.
    case closed(users: [Int])
    /// Open loops, one level for each rate.
    case open(
        arrivals: LoadModel.Arrivals, rates: [Rate], shape: Double?, maximumInFlight: Int)
    /// One request after the other.
    case single
    /// Batches, one level for each size.
    case offline(batches: [Int])
    /// An open loop whose rate changes.
    case shaped(arrivals: LoadModel.Arrivals, shape: LoadShape, maximumInFlight: Int)
    /// A closed loop, or an open one with Poisson arrivals, that is held for a long time.
    case soak(users: Int?, rate: Double?, seconds: Double)
    /// A search for the highest rate that keeps the objectives: a closed loop of `users`, then open loops, at
    /// most `levels` in all.
    case search(arrivals: LoadModel.Arrivals, users: Int, levels: Int, maximumInFlight: Int)
    /// The requests of a file in the format of `imgbench plan`, with arrivals.
    case trace(file: String)
}

/// Why a scenario cannot be read, with line and column.
public struct ScenarioError: Error, CustomStringConvertible, Equatable {
    /// One sentence: what was found and what was expected.
    public let description: String

    package init(_ description: String) { self.description = description }
}
