// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import ModelFiles
import Tensors
import Testing
import ZImage

/// Figures of the benchmark: medians, sums, and runs of real parts.
@Suite("The benchmark")
struct TimedRunsTests {
    @Test("the median is the run in the middle, or between two")
    func median() {
        let odd = TimedRuns(name: "a", operations: 6_000_000_000, seconds: [5, 1, 3])
        #expect(odd.seconds == [1, 3, 5])
        #expect(odd.median == 3)
        #expect(odd.rate == 2)
        #expect(TimedRuns(name: "b", operations: 1, seconds: [4, 1, 2, 3]).median == 2.5)
    }

    @Test("a total has all operations and the sums of the runs")
    func total() {
        let total = TimedRuns.total(
            [
                TimedRuns(name: "a", operations: 10, seconds: [1, 2, 3]),
                TimedRuns(name: "b", operations: 5, seconds: [10, 20, 30]),
            ], name: "both")
        #expect(total == TimedRuns(name: "both", operations: 15, seconds: [11, 22, 33]))
    }

    @Test("each part of the embedded model is timed", arguments: Precision.allCases)
    func parts(_ precision: Precision) throws {
        let folder = URL(filePath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Models/emoji-nano")
        let model = try ModelDirectory(url: folder)
        let device = try CPUBackend(precision: precision, threads: 1)
        let bench = EngineBenchmark(device: device, model: model, repetitions: 2)
        let pipeline = try Pipeline(model: model, device: device, promptCache: nil)
        let results =
            try bench.kernels(tokens: 33)
            + [
                bench.block(tokens: 33), bench.step(width: 64, height: 64), bench.text(tokens: 5),
                bench.decoder(width: 64, height: 64),
                bench.image(pipeline, width: 64, height: 64, steps: 1),
            ]
        #expect(results.count == 10)
        for result in results {
            #expect(result.seconds.count == 2 && result.seconds[0] > 0, "\(result.name)")
            #expect(result.operations > 0 && result.rate > 0, "\(result.name)")
        }
        // The kernels are the block's.
        #expect(results[..<5].reduce(0) { $0 + $1.operations } == results[5].operations)
        #expect(PeakThroughput.measured(on: device, precision) > 1e8)
    }

    @Test("a rate above the peak is noticed, one within the spread is not")
    func aboveThePeak() {
        let runs = TimedRuns(name: "a", operations: 105_000_000_000, seconds: [1])
        #expect(!runs.isAbove(peak: 105) && !runs.isAbove(peak: 100) && runs.isAbove(peak: 90))
    }
}
