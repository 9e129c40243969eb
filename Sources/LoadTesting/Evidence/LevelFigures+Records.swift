// Part of Inkstone. Licence: see LICENSE.

extension LevelFigures {
    /// Computes the figures of a level from its records; `nil` without a hold.
    ///
    /// `operations` returns the floating point operations of an image, if they are known.
    package init?(
        records: [LoadRequestRecord], hold: TimeRange, objectives: ServiceObjectives = .init(),
        peakOperations: Double? = nil, operations: (RequestParameters) -> Double? = { _ in nil }
    ) {
        guard hold.seconds > 0 else { return nil }
        let sample = LevelSample(records, hold: hold)
        let (window, steady) = (sample.window, sample.steady)
        let (started, valid, done) = (sample.started, sample.valid, sample.done)

        self.window = window
        cutShare = steady.cutShare
        unsteady = steady.unsteady
        throughputDrift = steady.throughputDrift
        endToEndDrift = steady.endToEndDrift
        throughput = Self.rate(of: done, in: window)
        issueRate =
            Double(sample.load.count { window.contains($0.times.send) }) / window.seconds
        goodput =
            objectives.isEmpty
            ? nil : Self.rate(of: done.filter { objectives.areMet(by: $0) }, in: window)

        endToEnd = LatencyFigures(valid.compactMap(\.endToEndMs))
        endToEndPlanned = LatencyFigures(
            valid.compactMap { Self.ms($0.times.planned, $0.times.end) })
        firstPreview = LatencyFigures(valid.compactMap(\.firstPreviewMs))
        previewInterval = LatencyFigures(
            valid.flatMap { record in
                zip(record.times.previews, record.times.previews.dropFirst()).map {
                    Double($1 - $0) / 1e6
                }
            })
        answerHead = LatencyFigures(valid.compactMap { Self.ms($0.times.send, $0.times.headIn) })
        firstByte = LatencyFigures(valid.compactMap { Self.ms($0.times.send, $0.times.firstByte) })
        clientQueue = LatencyFigures(valid.compactMap { Self.ms($0.times.send, $0.times.headOut) })
        scheduleLag = LatencyFigures(
            started.compactMap { Self.ms($0.times.planned, $0.times.send) })
        endToEndCompleted = SampleStatistics.meanEstimate(done.compactMap(\.endToEndMs))
        let sizes = Dictionary(grouping: valid, by: \.parameters.size)
        bySize =
            sizes.count > 1
            ? sizes.mapValues { LatencyFigures($0.compactMap(\.endToEndMs)) } : [:]

        errorRate = Proportion.estimate(started.count - valid.count, of: started.count)
        errors = Dictionary(
            started.compactMap { $0.error.map { ($0.rawValue, 1) } }, uniquingKeysWith: +)
        resolution = started.isEmpty ? nil : 1 / Double(started.count)

        let open = sample.open
        inFlight = open.mean(window)
        inFlightMax = open.maximum(window)
        littleResidual =
            inFlight > 0 ? sample.busySeconds / window.seconds / inFlight - 1 : nil
        answerBytes =
            valid.isEmpty ? nil : SampleStatistics.mean(valid.map { Double($0.bodyBytes) })
        let work = done.compactMap { operations($0.parameters) }
        if let peakOperations, peakOperations > 0, work.count == done.count, !done.isEmpty {
            peakShare = work.reduce(0, +) / window.seconds / peakOperations
        }
    }

    private static func rate(of done: [LoadRequestRecord], in window: TimeRange) -> Estimate {
        Throughput.estimate(
            completions: done.compactMap { $0.times.end.map { Double($0) / 1e9 } },
            from: Double(window.start) / 1e9, to: Double(window.end) / 1e9)
    }

    private static func ms(_ from: Int64, _ to: Int64?) -> Double? {
        to.map { Double($0 - from) / 1e6 }
    }
}

/// The requests of a level that its figures are computed from.
private struct LevelSample {
    /// The requests of the load, without priming.
    let load: [LoadRequestRecord]
    /// The steady part of the hold.
    let steady: SteadyWindow
    /// Requests started in the window that have ended.
    let started: [LoadRequestRecord]
    /// The valid ones among them.
    let valid: [LoadRequestRecord]
    /// Valid requests completed in the window.
    let done: [LoadRequestRecord]
    /// The sum of the durations of all requests completed in the window.
    let busySeconds: Double
    /// The number of open requests over time.
    let open: OpenRequests

    var window: TimeRange { steady.range }

    init(_ records: [LoadRequestRecord], hold: TimeRange) {
        load = records.filter { $0.purpose == .load && $0.phase != .prime }
        let ended = load.filter { $0.times.end != nil }.sorted(by: Self.endsBefore)
        steady = SteadyWindow(completed: ended.filter(\.isValid), hold: hold)
        let window = steady.range
        started = ended.filter { window.contains($0.times.send) }
        valid = started.filter(\.isValid)
        let completed = ended.filter { $0.times.end.map(window.contains) ?? false }
        done = completed.filter(\.isValid)
        busySeconds = completed.compactMap(\.endToEnd).reduce(0.0) { $0 + Double($1) / 1e9 }
        open = OpenRequests(
            load.map { ($0.times.send, $0.times.end) },
            horizon: max(window.end, ended.last?.times.end ?? window.end))
    }

    /// Orders records by completion.
    private static func endsBefore(_ first: LoadRequestRecord, _ second: LoadRequestRecord) -> Bool
    {
        (first.times.end ?? .max, first.sequence) < (second.times.end ?? .max, second.sequence)
    }
}

extension ServiceObjectives {
    /// Whether there is no objective for a single request.
    var isEmpty: Bool { firstPreviewP95 == nil && endToEndP95 == nil }

    /// Whether a valid request met the objectives.
    func areMet(by record: LoadRequestRecord) -> Bool {
        if let limit = endToEndP95, (record.endToEndMs ?? .infinity) > 1000 * limit {
            return false
        }
        if let limit = firstPreviewP95, record.parameters.partialImages > 0,
            (record.firstPreviewMs ?? .infinity) > 1000 * limit
        {
            return false
        }
        return true
    }
}
