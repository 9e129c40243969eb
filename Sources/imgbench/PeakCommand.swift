// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Dispatch
import Foundation
import LoadTesting
import Tensors

/// `imgbench peak`: the peak rates of this machine.
struct PeakCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "peak",
        abstract: "Measure the peak operations and the memory bandwidth of this machine.",
        discussion: """
            In a scenario the figures are written as device: { name: measured, operations: ..., \
            bandwidth: ... }.
            """)

    /// The result of the measurement.
    private struct Peak: Encodable {
        var kernels: String
        var threads: Int
        /// Operations a second, two a multiply-add, by precision.
        var operations: [String: Double]
        /// Bytes a second read and written by all processors together.
        var bandwidth: Double
    }

    @Flag(help: "Print JSON instead of text.")
    var json = false

    func run() throws {
        let device = try CPUBackend(
            precision: .f32, threads: ProcessInfo.processInfo.activeProcessorCount)
        let rates = Precision.allCases.map { precision in
            (
                precision.rawValue,
                (0..<5).map { _ in device.measurePeak(precision: precision, seconds: 0.1) }.max()
                    ?? 0
            )
        }
        let peak = Peak(
            kernels: device.kernelsName, threads: device.threads,
            operations: Dictionary(uniqueKeysWithValues: rates),
            bandwidth: (0..<5).map { _ in Self.bandwidth() }.max() ?? 0)
        if json {
            print(String(decoding: try RecordCoding.line(peak), as: UTF8.self))
            return
        }
        for (precision, rate) in rates where rate > 0 {
            print(String(format: "%@ %.1fGFLOP/s", precision, rate / 1e9))
        }
        print(String(format: "memory %.1fGB/s", peak.bandwidth / 1e9))
        print("kernels \(peak.kernels), \(peak.threads) threads")
    }

    /// Measures copies of buffers that exceed the caches, one for each processor.
    private static func bandwidth() -> Double {
        let processors = ProcessInfo.processInfo.activeProcessorCount
        let bytes = 128 << 20
        // Touched once, so that no page fault is measured.
        let buffers = (0..<(2 * processors)).map { number in
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes, alignment: 64)
            buffer.initializeMemory(as: UInt8.self, repeating: UInt8(truncatingIfNeeded: number))
            return SendableBuffer(buffer: buffer)
        }
        defer { for buffer in buffers { buffer.buffer.deallocate() } }
        let start = ContinuousClock.now
        DispatchQueue.concurrentPerform(iterations: processors) { number in
            buffers[2 * number].buffer.copyMemory(
                from: UnsafeRawBufferPointer(buffers[2 * number + 1].buffer))
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        return Double(2 * bytes * processors) / seconds
    }

    /// A buffer that one thread uses at a time.
    private struct SendableBuffer: @unchecked Sendable {
        let buffer: UnsafeMutableRawBufferPointer
    }
}
