// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Tensors
import VulkanTensors

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
        /// 10^9 bytes per second; only of GPUs.
        let bandwidthGbps: Double?
        let gpu: GPUFacts?
        let gops: Double
        let peakGops: Double?
        let share: Double?
        let seconds: Double
        let secondsMin: Double
        let secondsMax: Double
        let runs: Int
        let results: [Figure]
        /// Where the time goes on a GPU; absent on the processor.
        let profiles: [NamedProfile.Body]?
    }

    private let body: Body

    /// A report on results that were measured on `device`.
    init(
        subject: String, model: String, device: some Backend, rates: MachineRates,
        results: [TimedRuns], profiles: [NamedProfile]
    ) {
        let peak = rates.peaks[device.precisionName]
        let gpu = device as? VulkanBackend
        let total = Figure(TimedRuns.total(results, name: subject), peak: peak)
        body = Body(
            subject: subject, model: model, precision: device.precisionName,
            kernels: device.kernelsName, threads: device.threads, peaksGops: rates.peaks,
            bandwidthGbps: rates.bandwidth, gpu: gpu.map(GPUFacts.init), gops: total.gops,
            peakGops: peak, share: total.share, seconds: total.seconds,
            secondsMin: total.secondsMin, secondsMax: total.secondsMax, runs: total.runs,
            results: results.map { Figure($0, peak: peak) },
            profiles: gpu.map { _ in profiles.map { $0.body(rates.kernelPeaks) } })
    }

    /// A line on the machine, and one for each figure, which a GPU's profile of it follows.
    var lines: [String] {
        var lines = [machine]
        for result in body.results {
            lines.append(result.line)
            lines += profile(of: result.name)?.lines ?? []
        }
        return lines
    }

    private var machine: String {
        let threads = "\(body.threads) \(body.threads == 1 ? "thread" : "threads")"
        var line = "\(body.model) in \(body.precision) on \(body.kernels), \(threads)"
        let peaks = body.peaksGops.sorted { $0.value < $1.value }
            .map { "\($0.key) \(Int($0.value.rounded()))" }.joined(separator: ", ")
        if !peaks.isEmpty { line += "; peak in GOP/s: \(peaks)" }
        if let bandwidth = body.bandwidthGbps {
            line += "; memory \(Int(bandwidth.rounded())) GB/s"
        }
        return line
    }

    private func profile(of name: String) -> NamedProfile.Body? {
        body.profiles?.first { $0.name == name }
    }

    /// The object.
    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(body), as: UTF8.self)
    }
}
