// Part of Inkstone. Licence: see LICENSE.

package import Foundation

/// Everything that a run will send, as a function of the scenario and its seed.
public struct RunPlan: Sendable {
    /// A visit of a level and what its requests ask for.
    public struct Visit: Sendable {
        /// The level and the number of the visit.
        public var visit: LevelVisit
        /// Index of the prompts and seeds; visits with the same index ask for the same images.
        package var content: Int
        /// What the requests ask for.
        public var mix: RequestMix
        /// The rate as a share of the throughput at the knee; open levels only.
        public var shareOfKnee: Double?
        /// Number of requests after which the visit ends; sweeps of quality only.
        public var limit: Int?
        /// Base URL of the server, if it is not the scenario's.
        public var url: String?
        /// Whether every image is saved, not only a sample.
        public var savesImages = false
        /// The requests of a `trace` level.
        package var trace: [PlannedRequest] = []
    }

    /// Number of requests of a closed level in `plan.jsonl`; later requests follow the same rule.
    package static let listed = 1000

    /// The scenario.
    public let scenario: Scenario
    /// The visits, in the order in which they are made.
    public var visits: [Visit] = []
    /// The part of the requests that is sent.
    public internal(set) var part = PlanPart.whole
    /// When the first level's preparation begins, for a part of a plan; `nil` begins at once.
    package internal(set) var start: Date?
    private let seeds: SeedSequence

    /// Plans a scenario.
    ///
    /// - Parameters:
    ///   - scenario: the scenario.
    ///   - readTrace: reads the file of a trace level; ``PlanFile/read(_:)`` by default.
    /// - Throws: the errors of `readTrace`; `ScenarioError` for a prompt with an unknown slot.
    public init(
        _ scenario: Scenario, readTrace: ((String) throws -> [PlannedRequest])? = nil
    ) throws {
        let readTrace = readTrace ?? { try PlanFile.read(URL(filePath: $0)) }
        self.scenario = scenario
        seeds = SeedSequence(seed: scenario.seed)
        var levels: [Visit] = []
        for spec in scenario.levels {
            for (load, key, share) in Self.loads(of: spec) {
                var visit = Visit(
                    visit: LevelVisit(level: key, visit: 1, load: load), content: levels.count,
                    mix: scenario.request, shareOfKnee: share)
                if case .trace(let file) = spec { visit.trace = try readTrace(file) }
                levels.append(visit)
            }
        }
        try checkSearch()
        try scenario.checkDialect()
        if let file = scenario.request.prompts?.file,
            scenario.request.keywords[RequestMix.promptSlot] == nil
        {
            throw ScenarioError(
                "The prompts of \(file) were not read; read the scenario with"
                    + " Scenario(contentsOf:).")
        }
        for round in 0..<scenario.repeats { visits += ordered(levels, round) }
        number()
    }

    /// Refuses what a search cannot be combined with.
    private func checkSearch() throws {
        let searches = scenario.levels.count {
            if case .search = $0 { return true }
            return false
        }
        guard searches > 0 else { return }
        guard searches == 1, scenario.repeats == 1, scenario.order == .ascending else {
            throw ScenarioError(
                "levels.search must be the only search of a scenario with order: ascending and"
                    + " repeat: 1.")
        }
        guard scenario.objectives != ServiceObjectives() else {
            throw ScenarioError(
                "levels.search needs objectives to keep; add for instance slo: { e2e_p95: 5s }.")
        }
    }

    /// The levels of one round in the order of the scenario.
    private func ordered(_ levels: [Visit], _ round: Int) -> [Visit] {
        switch scenario.order {
        case .ascending: return levels
        case .updown: return levels + levels.reversed()
        case .shuffled:
            var generator = SplitMix64(seed: scenario.seed &+ UInt64(round))
            return levels.shuffled(using: &generator)
        }
    }

    /// Numbers the visits of each level, and assigns prompts and seeds of its own to each visit.
    private mutating func number() {
        var seen: [String: Int] = [:]
        for index in visits.indices {
            seen[visits[index].visit.level, default: 0] += 1
            visits[index].visit.visit = seen[visits[index].visit.level] ?? 1
            visits[index].content = index
        }
    }

    /// Creates the plan of a sweep from its visits.
    init(_ scenario: Scenario, visits: [Visit]) {
        self.scenario = scenario
        self.visits = visits
        seeds = SeedSequence(seed: scenario.seed)
    }

    /// The loads of an entry of `levels`, with their keys and shares of the knee.
    private static func loads(of spec: LevelSpec) -> [(LoadModel, String, Double?)] {
        func digits(_ value: Int) -> String {
            String(repeating: "0", count: max(0, 3 - String(value).count)) + String(value)
        }
        switch spec {
        case .closed(let users):
            return users.map {
                (LoadModel(kind: .closed, users: $0), "closed-" + digits($0), nil)
            }
        case .single: return [(LoadModel(kind: .single, users: 1), "single", nil)]
        case .offline(let batches):
            return batches.map {
                (LoadModel(kind: .offline, batch: $0), "offline-" + digits($0), nil)
            }
        case .shaped, .soak, .search: return spec.shapedLoads.map { ($0.0, $0.1, nil) }
        case .trace:
            return [(LoadModel(kind: .trace, maximumInFlight: 10_000), "trace", nil)]
        case .open(let arrivals, let rates, let shape, let maximum):
            return rates.map { rate in
                var load = LoadModel(
                    kind: .open, arrivals: arrivals, shape: shape, maximumInFlight: maximum)
                switch rate {
                case .absolute(let value):
                    load.rate = value
                    return (load, "open-\(arrivals.rawValue)-\(value)", nil)
                case .ofKnee(let share):
                    let percent = Int((100 * share).rounded())
                    return (load, "open-\(arrivals.rawValue)-\(digits(percent))pct", share)
                }
            }
        }
    }

    // MARK: Requests

    /// The parameters of a request: a function of scenario, seed, visit and position.
    public func parameters(_ visit: Visit, _ sequence: Int) -> RequestParameters {
        if visit.trace.indices.contains(sequence) { return visit.trace[sequence].parameters }
        let mix = visit.mix
        var generator = SplitMix64(
            seed: scenario.seed &* 0x9E37_79B9 &+ UInt64(visit.content) << 32 &+ UInt64(sequence))
        let size = Self.pick(mix.sizes, &generator)
        let steps = Self.pick(mix.steps, &generator)
        let lora = Self.pick(mix.loras, &generator)
        let turn = sequence % mix.turns
        if turn > 0, sequence < Self.lastSession {
            return followingTurn(visit, sequence, first: sequence - turn)
        }
        let template = try? PromptTemplate(
            mix.prompt, keywords: mix.keywords, seed: scenario.seed)
        var parameters = RequestParameters(
            prompt: template?.prompt(sequence, salt: UInt64(visit.content)) ?? mix.prompt,
            negativePrompt: mix.negativePrompt, width: size.width, height: size.height,
            steps: steps, guidance: mix.guidance,
            seed: seeds.seed(
                visit: visit.content % 2048, sequence: sequence % SeedSequence.perVisit),
            lora: lora?.name, loraScale: lora?.scale, partialImages: mix.partialImages,
            format: mix.format)
        addImages(mix, &parameters, &generator)
        return parameters
    }

    /// Positions from here on are those of probes and priming, which are not parts of sessions.
    private static let lastSession = SeedSequence.perVisit - 16_384

    /// The parameters of a turn of a session: those of the first turn with another prompt and seed, and with the
    /// image of the turn before as source.
    private func followingTurn(
        _ visit: Visit, _ sequence: Int, first: Int
    ) -> RequestParameters {
        var parameters = parameters(visit, first)
        let mix = visit.mix
        if let template = try? PromptTemplate(
            mix.prompt, keywords: mix.keywords, seed: scenario.seed)
        {
            parameters.prompt = template.prompt(sequence, salt: UInt64(visit.content))
        }
        parameters.seed = seeds.seed(
            visit: visit.content % 2048, sequence: sequence % SeedSequence.perVisit)
        parameters.source = SourceParameters(
            width: parameters.width, height: parameters.height, previous: sequence - 1,
            strength: mix.edits?.strength ?? RequestMix.Edits().strength,
            mask: parameters.source?.mask)
        return parameters
    }

    /// Draws the source image, the mask and the image of the ControlNet.
    private func addImages(
        _ mix: RequestMix, _ parameters: inout RequestParameters, _ generator: inout SplitMix64
    ) {
        if let edits = mix.edits, Double.random(in: 0..<1, using: &generator) < edits.share {
            let size =
                edits.sizes.isEmpty
                ? RequestMix.Size(width: parameters.width, height: parameters.height)
                : Self.pick(edits.sizes, &generator)
            let image = UInt32(Int.random(in: 0..<edits.images, using: &generator))
            parameters.source = SourceParameters(
                width: size.width, height: size.height, seed: image, strength: edits.strength,
                mask: Self.pick(edits.masks, &generator))
        }
        if let control = mix.control, Double.random(in: 0..<1, using: &generator) < control.share {
            parameters.control = ControlParameters(
                model: control.model, type: control.type, scale: control.scale,
                seed: UInt32(Int.random(in: 0..<8, using: &generator)))
        }
    }

    /// One unmeasured request for each size, number of steps, LoRA and kind of source.
    ///
    /// `offset` is the distance of their positions from the last ones of the visit, so that other requests
    /// outside the measurement have other prompts and seeds.
    package func primes(_ visit: Visit, before offset: Int = 0) -> [RequestParameters] {
        var primes: [RequestParameters] = []
        for size in visit.mix.sizes {
            for steps in visit.mix.steps {
                for lora in visit.mix.loras {
                    for source in Self.primeSources(visit.mix, size.value) {
                        var prime = parameters(
                            visit, SeedSequence.perVisit - 1 - offset - primes.count)
                        (prime.width, prime.height) = (size.value.width, size.value.height)
                        prime.steps = steps.value
                        (prime.lora, prime.loraScale) = (lora.value?.name, lora.value?.scale)
                        prime.source = source
                        primes.append(prime)
                    }
                }
            }
        }
        return primes
    }

    /// The kinds of source that a mix has: none, an image, and an image with a mask.
    private static func primeSources(
        _ mix: RequestMix, _ size: RequestMix.Size
    ) -> [SourceParameters?] {
        let edits = mix.edits ?? RequestMix.Edits()
        let place = edits.sizes.first?.value ?? size
        var source = SourceParameters(
            width: place.width, height: place.height, seed: 0, strength: edits.strength)
        guard mix.edits != nil else { return mix.turns > 1 ? [nil, source] : [nil] }
        var sources: [SourceParameters?] = edits.share < 1 ? [nil] : []
        if edits.masks.contains(where: { $0.value == nil }) || mix.turns > 1 {
            sources.append(source)
        }
        if let mask = edits.masks.compactMap(\.value).first {
            source.mask = mask
            sources.append(source)
        }
        return sources
    }

    /// The arrivals of an open visit during `seconds`, in nanoseconds after the start of settling.
    package func arrivals(_ visit: Visit, seconds: Double) -> [Int64] {
        if visit.visit.load.kind == .trace { return visit.trace.compactMap(\.arrival) }
        let load = visit.visit.load
        if let profile = load.profile {
            return ArrivalTimes.draw(
                load.arrivals ?? .poisson, profile: profile, lead: scenario.settle.minimum,
                shape: load.shape ?? 1, seed: scenario.seed &+ UInt64(visit.content) << 40)
        }
        guard let rate = load.rate else { return [] }
        let seconds = load.seconds.map { $0 + scenario.settle.maximum } ?? seconds
        return ArrivalTimes.draw(
            visit.visit.load.arrivals ?? .poisson, rate: rate, shape: visit.visit.load.shape ?? 1,
            count: max(1, Int((rate * seconds).rounded(.up))),
            seed: scenario.seed &+ UInt64(visit.content) << 40)
    }

    /// Maximum time of settling and hold in seconds.
    package var longestLoad: Double { scenario.settle.maximum + scenario.maximumHold }

    /// The requests of `plan.jsonl`.
    ///
    /// Levels whose rate is a share of the knee have no arrivals yet.
    public func requests() -> [PlannedRequest] {
        visits.flatMap { visit -> [PlannedRequest] in
            let arrivals = arrivals(visit, seconds: longestLoad)
            let count = visit.limit ?? (arrivals.isEmpty ? Self.listed : arrivals.count)
            return (0..<count).map { sequence in
                PlannedRequest(
                    level: visit.visit.level, visit: visit.visit.visit, sequence: sequence,
                    arrival: arrivals.isEmpty ? nil : arrivals[sequence],
                    parameters: parameters(visit, sequence))
            }
        }
    }

    private static func pick<T>(
        _ choices: [Weighted<T>], _ generator: inout SplitMix64
    ) -> T where T: Sendable & Equatable {
        var place = Double.random(
            in: 0..<choices.reduce(0) { $0 + $1.weight }, using: &generator)
        for choice in choices.dropLast() {
            place -= choice.weight
            if place < 0 { return choice.value }
        }
        return choices[choices.count - 1].value
    }
}
