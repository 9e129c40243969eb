// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Parameters
package import Service

/// All jobs of a fleet as a gateway knows them: by id, age, deadline, name and place in the queue.
///
/// A plain value without connections, tasks or clocks. Each change costs the logarithm of the number
/// of jobs in comparisons; nothing walks all of them.
package struct FleetIndex: Sendable {
    /// A job's place by a time, the earliest first.
    private struct TimeKey: Comparable, Sendable {
        var time: Double
        var id: String

        static func < (first: TimeKey, second: TimeKey) -> Bool {
            (first.time, first.id) < (second.time, second.id)
        }
    }

    /// A job's place in the queue of its model, the next one first.
    private struct QueueKey: Comparable, Sendable {
        var priority: Priority
        var age: TimeKey

        static func < (first: QueueKey, second: QueueKey) -> Bool {
            first.priority == second.priority
                ? first.age < second.age : first.priority > second.priority
        }
    }

    /// The gateway that has this index.
    private let gateway: String
    private var entries: [String: JobRevision] = [:]
    private var byAge = SortedArray<TimeKey>()
    /// Jobs that are not final.
    private var open: Set<String> = []
    private var queues: [String: SortedArray<QueueKey>] = [:]
    /// Jobs that are not final and have a deadline.
    private var deadlines = SortedArray<TimeKey>()
    /// Final jobs by the time of their end.
    private var finished = SortedArray<TimeKey>()
    /// Jobs by the id of their call, and by owner.
    private var calls: [String: [String?: SortedArray<TimeKey>]] = [:]
    /// How often jobs refer to each file of an image or a source.
    private var fileUses: [String: Int] = [:]
    /// Jobs with an owner that other gateways accepted within the last minute, the oldest first.
    private var foreign: [(owner: String, created: Double)] = []

    /// An index without jobs.
    ///
    /// - Parameter gateway: The gateway that has it; jobs of others are foreign.
    package init(gateway: String) {
        self.gateway = gateway
    }

    // MARK: - Changes

    /// Records a job as the bucket has it.
    ///
    /// - Parameters:
    ///   - job: The job.
    ///   - revision: Its revision; an older one than the known one is ignored.
    ///   - now: Unix seconds.
    /// - Returns: Whether it was newer, and whether places in its model's queue may have changed.
    @discardableResult
    package mutating func update(
        _ job: FleetJob, revision: UInt64, at now: Double
    ) -> (isNew: Bool, changesPlaces: Bool) {
        let known = entries[job.id]
        if let known, known.revision >= revision { return (false, false) }
        if let known {
            removeKeys(of: known.job)
        } else if let owner = job.owner, job.gateway != gateway, job.created > now - 60 {
            foreign.removeAll { $0.created < now - 60 }
            foreign.append((owner, job.created))
        }
        entries[job.id] = JobRevision(job: job, revision: revision)
        insertKeys(of: job)
        return (true, known?.job.state == .queued || job.state == .queued)
    }

    /// Removes a job.
    ///
    /// Returns the job, if it was there.
    @discardableResult
    package mutating func remove(_ id: String) -> FleetJob? {
        guard let job = entries.removeValue(forKey: id)?.job else { return nil }
        removeKeys(of: job)
        return job
    }

    /// Removes jobs that ended before a time.
    package mutating func removeFinished(before time: Double) {
        while let first = finished.elements.first, first.time < time { remove(first.id) }
    }

    private mutating func insertKeys(of job: FleetJob) {
        let age = TimeKey(time: job.created, id: job.id)
        byAge.insert(age)
        if let call = job.requestID {
            calls[call, default: [:]][job.owner, default: SortedArray()].insert(age)
        }
        for file in job.files.map(\.digest) {
            fileUses[file, default: 0] += 1
        }
        guard !job.state.isFinal else {
            if let time = job.finished { finished.insert(TimeKey(time: time, id: job.id)) }
            return
        }
        open.insert(job.id)
        if let deadline = job.deadline { deadlines.insert(TimeKey(time: deadline, id: job.id)) }
        if job.state == .queued {
            queues[job.model, default: SortedArray()].insert(
                QueueKey(priority: job.request.priority, age: age))
        }
    }

    private mutating func removeKeys(of job: FleetJob) {
        let age = TimeKey(time: job.created, id: job.id)
        byAge.remove(age)
        open.remove(job.id)
        if let deadline = job.deadline { deadlines.remove(TimeKey(time: deadline, id: job.id)) }
        if let time = job.finished { finished.remove(TimeKey(time: time, id: job.id)) }
        if job.state == .queued {
            queues[job.model]?.remove(QueueKey(priority: job.request.priority, age: age))
        }
        if let call = job.requestID {
            calls[call]?[job.owner]?.remove(age)
            if calls[call]?[job.owner]?.elements.isEmpty == true { calls[call]?[job.owner] = nil }
            if calls[call]?.isEmpty == true { calls[call] = nil }
        }
        for file in job.files.map(\.digest) {
            let uses = fileUses[file, default: 0] - 1
            fileUses[file] = uses > 0 ? uses : nil
        }
    }

    // MARK: - Queries

    /// The job of an id.
    package subscript(id: String) -> JobRevision? { entries[id] }

    /// The job of a name: an id, or the id of a call.
    package func find(_ name: String, for access: JobAccess) -> FleetJob? {
        if let job = entries[name]?.job, access.permits(job.owner) { return job }
        guard let owners = calls[name] else { return nil }
        let newest =
            switch access {
            case .all: owners.values.compactMap(\.elements.last).max()
            case .owner(let id): owners[id]?.elements.last
            }
        return newest.flatMap { entries[$0.id]?.job }
    }

    /// Number of jobs that are not final.
    package var openCount: Int { open.count }

    /// Jobs that wait, and jobs that a worker has.
    package var counts: (queued: Int, running: Int) {
        let queued = queues.values.reduce(0) { $0 + $1.elements.count }
        return (queued, open.count - queued)
    }

    /// Jobs that a worker has.
    package var running: [FleetJob] {
        open.compactMap { entries[$0]?.job }.filter { $0.state == .running }
    }

    /// Jobs of all models that wait, the next one first.
    package var waiting: [FleetJob] {
        queues.values.flatMap(\.elements).sorted().compactMap { entries[$0.age.id]?.job }
    }

    /// Ids of a model's jobs that wait, the next one first.
    package func waitingIDs(of model: String) -> [String] {
        queues[model]?.elements.map(\.age.id) ?? []
    }

    /// Jobs of the same model that begin before a job that begins to wait.
    package func place(of job: FleetJob) -> Int {
        let age = TimeKey(time: job.created, id: job.id)
        return queues[job.model]?.position(of: QueueKey(priority: job.request.priority, age: age))
            ?? 0
    }

    /// Jobs whose deadline has passed.
    package func overdue(at now: Double) -> [FleetJob] {
        deadlines.elements.prefix { $0.time <= now }.compactMap { entries[$0.id]?.job }
    }

    /// The time at which something is due next.
    ///
    /// - Parameter age: Seconds that final jobs are kept; for ever if 0.
    /// - Returns: Unix seconds of the next deadline, or of the next job that is kept no longer.
    package func nextDue(keeping age: Double) -> Double? {
        let expiry = age > 0 ? finished.elements.first.map { $0.time + age } : nil
        return [deadlines.elements.first?.time, expiry].compactMap(\.self).min()
    }

    /// Whether a job has a file.
    package func uses(file digest: String) -> Bool { fileUses[digest] != nil }

    /// The jobs of a query, the newest first.
    package func jobs(_ query: JobQuery) -> [FleetJob] {
        let words = query.words.map { $0.lowercased() }
        func isMatch(_ job: FleetJob) -> Bool {
            (query.states.isEmpty || query.states.contains(job.state))
                && query.access.permits(job.owner)
                && (words.isEmpty || words.allSatisfy(job.request.prompt.lowercased().contains))
                && (query.isGivenUp == nil || query.isGivenUp == (job.isGivenUp ?? false))
                // A fleet has no stars.
                && query.isStarred != true
                && (query.model == nil || query.model == job.model)
                && query.lora.map { name in job.request.loras.contains { $0.name == name } } ?? true
                && query.since.map { job.created >= $0.timeIntervalSince1970 } ?? true
                && query.until.map { job.created < $0.timeIntervalSince1970 } ?? true
        }
        var end = byAge.elements.count
        if let id = query.before {
            guard let before = entries[id]?.job, query.access.permits(before.owner) else {
                return []
            }
            end = byAge.position(of: TimeKey(time: before.created, id: before.id))
        }
        return byAge.elements[..<end].reversed().lazy.compactMap { entries[$0.id]?.job }
            .filter(isMatch).prefix(query.limit).map(\.self)
    }

    /// An owner's jobs at other gateways.
    package func elsewhere(_ owner: String, at now: Double) -> KeyUsage.Elsewhere {
        KeyUsage.Elsewhere(
            running: open.count {
                guard let job = entries[$0]?.job else { return false }
                return job.owner == owner && job.gateway != gateway
            },
            recent: foreign.compactMap { job in
                guard job.owner == owner, now - job.created < 60 else { return nil }
                return .seconds(max(0, now - job.created))
            })
    }
}
