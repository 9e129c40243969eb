// Part of Inkstone. Licence: see LICENSE.

/// What a run is to do: the content of a scenario file.
///
/// - Units: seconds, pixels, shares from 0 to 1.
package struct Scenario: Sendable, Equatable {
    package var name: String
    package var target: Target
    package var device = Device()
    package var request: RequestMix
    package var levels: [LevelSpec]
    package var hold = 120.0
    /// The hold is made longer where 200 images need it, up to this.
    package var maximumHold = 600.0
    package var settle = Settle()
    package var cooldown = 5.0
    package var order = Order.ascending
    package var objectives = ServiceObjectives()
    package var limits = AuditLimits()
    /// Whether the audit sends its own requests after the levels.
    package var probes = true
    package var repeats = 1
    package var seed: UInt64 = 1
    /// Bytes a second of the link to the server.
    package var link: Double?

    package init(name: String, target: Target, request: RequestMix, levels: [LevelSpec]) {
        self.name = name
        self.target = target
        self.request = request
        self.levels = levels
    }

    /// The order of the levels.
    package enum Order: String, Sendable, CaseIterable {
        /// As the scenario lists them.
        case ascending
        /// Drawn with the run's seed.
        case shuffled
        /// As listed and then backwards, so that every level is visited twice.
        case updown
    }

    /// The server.
    package struct Target: Sendable, Equatable {
        package var url: String
        package var dialect = Dialect.openAIStream
        package var model: String?
        /// Sent as a bearer token.
        package var key: String?
        /// A file on this machine that the server, or a proxy before it, writes.
        package var accessLog: String?
        /// Path or address of the metrics.
        package var metrics: String?
        /// Path or address that answers 200 when the server is ready.
        package var ready: String?
        /// The server's process on this machine.
        package var process: ProcessChoice = .automatic

        package init(url: String) { self.url = url }
    }

    package enum ProcessChoice: Sendable, Equatable {
        /// Whoever listens on the port of the address, if that is on this machine.
        case automatic
        case id(Int)
        /// Whoever listens on this port.
        case port(Int)
        case none
    }

    /// The device that draws.
    package struct Device: Sendable, Equatable {
        package var name: String?
        package var count = 1
        /// Floating point operations a second of one.
        package var operations: Double?
        /// Bytes a second of one.
        package var bandwidth: Double?

        package init() {}
    }

    package struct Settle: Sendable, Equatable {
        package var minimum = 5.0
        package var maximum = 60.0

        package init() {}
    }
}

/// Something with a weight, in a mix.
package struct Weighted<Value: Sendable & Equatable>: Sendable, Equatable {
    package var value: Value
    package var weight: Double

    package init(_ value: Value, weight: Double = 1) {
        self.value = value
        self.weight = weight
    }
}

/// What requests ask for.
package struct RequestMix: Sendable, Equatable {
    package struct Size: Sendable, Equatable {
        package var width: Int
        package var height: Int

        package init(width: Int, height: Int) {
            self.width = width
            self.height = height
        }
    }

    package struct LoRA: Sendable, Equatable {
        package var name: String
        package var scale: Double

        package init(name: String, scale: Double) {
            self.name = name
            self.scale = scale
        }
    }

    /// With `{keyword}` where a word of a list goes.
    package var prompt: String
    package var negativePrompt: String?
    package var keywords: [String: [String]] = [:]
    package var sizes: [Weighted<Size>]
    package var steps: [Weighted<Int>] = [Weighted(8)]
    package var guidance = 0.0
    /// `nil` is none.
    package var loras: [Weighted<LoRA?>] = [Weighted(nil)]
    package var partialImages = 0
    package var format = "png"
    /// Seconds of one request.
    package var timeout = 60.0

    package init(prompt: String, sizes: [Weighted<Size>]) {
        self.prompt = prompt
        self.sizes = sizes
    }
}

/// One line of `levels`, not yet spread out.
package enum LevelSpec: Sendable, Equatable {
    package enum Rate: Sendable, Equatable {
        /// Requests a second.
        case absolute(Double)
        /// A share of the throughput at the knee of the closed levels before it.
        case ofKnee(Double)
    }

    case closed(users: [Int])
    case open(
        arrivals: LoadModel.Arrivals, rates: [Rate], shape: Double?, maximumInFlight: Int)
    case single
    case offline(batches: [Int])
    /// Requests of a file as `imgbench plan` writes it, with arrivals.
    case trace(file: String)
}

/// A scenario that cannot be read, with the place.
package struct ScenarioError: Error, CustomStringConvertible, Equatable {
    package let description: String

    package init(_ description: String) { self.description = description }
}
