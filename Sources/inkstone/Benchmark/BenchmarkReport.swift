// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Tensors

/// The output of `inkstone benchmark`: lines of text, or one JSON object.
struct BenchmarkReport {
    private struct Figure: Encodable {
        let name: String
        let operations: Int
        /// Median, shortest and longest run.
        let seconds: Double
        let secondsMin: Double
        let secondsMax: Double
        let runs: Int
        let gops: Double
        let peakGops: Double?
        let share: Double?

        init(_ measurement: TimedRuns, peak: Double?) {
            name = measurement.name
            operations = measurement.operations
            seconds = measurement.median
            secondsMin = measurement.seconds[0]
            secondsMax = measurement.seconds[measurement.seconds.count - 1]
            runs = measurement.seconds.count
            gops = measurement.rate
            peakGops = peak
            share = peak.map { measurement.rate / $0 }
        }

        var line: String {
            func milliseconds(_ seconds: Double) -> String { "\((seconds * 1e4).rounded() / 10)" }
            return "  \(name): \(milliseconds(seconds)) ms (\(milliseconds(secondsMin)) to"
                + " \(milliseconds(secondsMax))), \(Int(gops.rounded())) GOP/s"
                + (share.map { ", \(Int(($0 * 100).rounded())) % of peak" } ?? "")
        }
    }

    /// The totals of all results, and each result.
    private struct Body: Encodable {
        let subject: String
        let model: String
        let precision: String
        let kernels: String
        let threads: Int
        /// GOP/s of loops on registers alone, by precision.
        let peaksGops: [String: Double]
        let gops: Double
        let peakGops: Double?
        let share: Double?
        let seconds: Double
        let secondsMin: Double
        let secondsMax: Double
        let runs: Int
        let results: [Figure]
    }

    private let body: Body

    /// A report on results that were measured on `device`; `peaks` are GOP/s by precision.
    init(
        subject: String, model: String, device: some Backend, peaks: [String: Double],
        results: [TimedRuns]
    ) {
        let peak = peaks[device.precisionName]
        let total = Figure(TimedRuns.total(results, name: subject), peak: peak)
        body = Body(
            subject: subject, model: model, precision: device.precisionName,
            kernels: device.kernelsName, threads: device.threads, peaksGops: peaks,
            gops: total.gops, peakGops: peak, share: total.share, seconds: total.seconds,
            secondsMin: total.secondsMin, secondsMax: total.secondsMax, runs: total.runs,
            results: results.map { Figure($0, peak: peak) })
    }

    /// A line on the machine, and one for each figure.
    var lines: [String] {
        let peaks = body.peaksGops.sorted { $0.value < $1.value }
            .map { "\($0.key) \(Int($0.value.rounded()))" }.joined(separator: ", ")
        return [
            "\(body.model) in \(body.precision) on \(body.kernels), \(body.threads)"
                + " \(body.threads == 1 ? "thread" : "threads")"
                + (peaks.isEmpty ? "" : "; peak in GOP/s: \(peaks)")
        ] + body.results.map(\.line)
    }

    /// The object.
    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(body), as: UTF8.self)
    }
}
