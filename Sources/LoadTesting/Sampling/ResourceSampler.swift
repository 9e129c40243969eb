// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Synchronization

/// Samples processor time and memory of the server and of this program while a level runs.
package final class ResourceSampler: Sendable {
    /// One sample.
    package struct Sample: Sendable {
        /// Nanoseconds since the run's clock origin.
        package var time: Int64
        package var server: ProcessTable.Reading?
        /// MiB; read only once a second, since the kernel has to walk all mappings.
        package var proportional: Double?
        package var tester: ProcessTable.Reading?
        /// Energy and memory of the machine's devices.
        package var energy: EnergyMeter.Reading?
    }

    private static let interval = Duration.milliseconds(250)

    private let clock: RunClock
    private let process: Int?
    private let meter: EnergyMeter?
    private let samples = Mutex<[Sample]>([])

    /// Creates a sampler of the server's process tree; `nil` when the server is not on this machine.
    ///
    /// `meter` reads the energy of this machine, which is the server's if it runs here.
    package init(clock: RunClock, process: Int?, meter: EnergyMeter? = nil) {
        self.clock = clock
        self.process = process
        self.meter = process == nil ? nil : meter
    }

    /// Samples until the task is cancelled.
    package func run() async {
        var tree = process.map(ProcessTable.tree) ?? []
        var round = 0
        while !Task.isCancelled {
            // Workers may be replaced.
            if round % 40 == 0, let process { tree = ProcessTable.tree(process) }
            sample(tree, withProportional: round % 4 == 0)
            round += 1
            try? await Task.sleep(for: Self.interval)
        }
        sample(tree, withProportional: true)
    }

    private func sample(_ tree: [Int], withProportional: Bool) {
        let now = clock.now
        let sample = Sample(
            time: now, server: ProcessTable.reading(tree),
            proportional: withProportional ? ProcessTable.proportional(tree) : nil,
            tester: ProcessTable.reading([Int(ProcessInfo.processInfo.processIdentifier)]),
            energy: meter?.read(at: now))
        samples.withLock { $0.append(sample) }
    }

    /// The samples so far, the oldest first.
    package var readings: [Sample] { samples.withLock { $0 } }

    /// Summarizes the samples of a time range.
    package func summary(_ range: TimeRange, loopLags: [Double]) -> ResourceSummary {
        let inside = readings.filter { range.contains($0.time) }
        var summary = ResourceSummary()
        if let first = inside.first, let last = inside.last, last.time > first.time {
            let seconds = Double(last.time - first.time) / 1e9
            if let before = first.server, let after = last.server {
                summary.serverCores = max(0, after.cpu - before.cpu) / seconds
            }
            if let before = first.tester, let after = last.tester {
                summary.testerCores = (after.cpu - before.cpu) / seconds
            }
        }
        summary.serverResidentMax = inside.compactMap(\.server?.resident).max()
        let sizes = inside.compactMap(\.proportional)
        summary.serverProportionalMax = sizes.max()
        summary.serverProportionalMean =
            sizes.isEmpty ? nil : sizes.reduce(0, +) / Double(sizes.count)
        // The memory of a processor as device is the host's.
        summary.deviceMemoryMax = summary.serverProportionalMax
        summary.deviceMemoryMean = summary.serverProportionalMean
        summary.deviceMemorySource = sizes.isEmpty ? nil : "host"
        addEnergy(inside, to: &summary)
        let own = inside.compactMap { sample in
            sample.tester.map { (Double(sample.time) / 6e10, $0.resident) }
        }
        summary.testerResidentMax = own.map(\.1).max()
        summary.testerResidentSlope = Self.slope(own)
        let lags = loopLags.sorted()
        if !lags.isEmpty { summary.loopLagP99 = max(0, lags[(lags.count * 99 - 1) / 100]) }
        return summary
    }

    /// Adds the power over the samples, and the memory of devices, which replaces that of the host.
    private func addEnergy(_ samples: [Sample], to summary: inout ResourceSummary) {
        let readings = samples.compactMap { sample in sample.energy.map { (sample.time, $0) } }
        if let first = readings.first, let last = readings.last, last.0 > first.0 {
            let seconds = Double(last.0 - first.0) / 1e9
            let used = last.1.joules.mapValues { $0 }.merging(first.1.joules) { $0 - $1 }
            if !used.isEmpty {
                summary.power = used.values.reduce(0, +) / seconds
                summary.powerSources = used.keys.sorted()
            }
        }
        let sizes = readings.compactMap(\.1.deviceMemory)
        guard let source = readings.last?.1.memorySource, let largest = sizes.max() else { return }
        summary.deviceMemoryMax = largest
        summary.deviceMemoryMean = sizes.reduce(0, +) / Double(sizes.count)
        summary.deviceMemorySource = source
    }

    /// The slope of the least-squares line; `nil` for fewer than three points.
    private static func slope(_ points: [(Double, Double)]) -> Double? {
        guard points.count > 2 else { return nil }
        let n = Double(points.count)
        let x = points.reduce(0) { $0 + $1.0 } / n
        let y = points.reduce(0) { $0 + $1.1 } / n
        let xx = points.reduce(0) { $0 + ($1.0 - x) * ($1.0 - x) }
        let xy = points.reduce(0) { $0 + ($1.0 - x) * ($1.1 - y) }
        return xx > 0 ? xy / xx : nil
    }
}
