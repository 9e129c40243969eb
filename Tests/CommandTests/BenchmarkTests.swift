// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Tensors
import Testing

/// `benchmark`, for people and for programs.
@Suite struct BenchmarkTests {
    /// The keys once more, on purpose: other programs read them, so a change has to be made twice.
    private struct Report: Decodable {
        struct Result: Decodable {
            let name: String
            let operations: Int
            let seconds: Double
        }
        let subject: String
        let model: String
        let precision: String
        let kernels: String
        let threads: Int
        let gops: Double
        let peakGops: Double
        let share: Double
        let seconds: Double
        let secondsMin: Double
        let secondsMax: Double
        let runs: Int
        let peaksGops: [String: Double]
        let results: [Result]
    }

    private func run(
        _ arguments: [String], precision: String = "f32", environment: [String: String] = [:]
    ) async throws -> Report {
        let result = try await Program.run(
            ["benchmark"] + arguments
                + ["--json", "--repeat", "2", "--threads", "1", "--precision", precision],
            in: try TemporaryFolder(), environment: environment)
        #expect(result.status == 0, "\(result.errors)")
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(Report.self, from: Data(result.output.utf8))
    }

    @Test(
        "every subject prints one object whose figures agree",
        arguments: [
            "block --model emoji-nano --tokens 64", "kernels --model emoji-nano --tokens 64",
            "step --size 64", "text --tokens 7", "decoder --size 64", "image --size 64 --steps 1",
            "samplers --model emoji-nano --size 64", "controls --model emoji-nano --size 64",
            "block --tokens 1", "decoder --size 16 --random-weights z-image-turbo",
        ])
    func subjects(_ line: String) async throws {
        let arguments = line.split(separator: " ").map(String.init)
        let report = try await run(arguments)
        #expect(report.subject == arguments[0])
        #expect(report.precision == "f32" && report.threads == 1 && report.runs == 2)
        let counts = ["kernels": 5, "samplers": 13, "controls": 5]
        #expect(report.results.count == counts[arguments[0], default: 1])
        #expect(report.secondsMin <= report.seconds && report.seconds <= report.secondsMax)
        #expect(report.peaksGops["f32"] == report.peakGops)
        #expect(abs(report.share - report.gops / report.peakGops) < 1e-9)
        let operations = report.results.reduce(0) { $0 + $1.operations }
        #expect(abs(report.gops / (Double(operations) / report.seconds / 1e9) - 1) < 1e-9)
        let isRandom = !line.contains("emoji") && line.contains(/block|random/)
        #expect(report.model == (isRandom ? "random-z-image-turbo" : "emoji-nano"))
    }

    @Test("auto is the best for the model that is measured")
    func auto() async throws {
        let small = try await run(
            ["block", "--model", "emoji-nano", "--tokens", "1"], precision: "auto")
        let large = try await run(["block", "--tokens", "1"], precision: "auto")
        #expect(small.precision == CPUBackend.bestPrecision(parameters: 0).rawValue)
        #expect(large.precision == CPUBackend.bestPrecision(parameters: .max).rawValue)
    }

    @Test("auto goes by the kernels that the environment selects, not by the fastest")
    func autoOfSelectedKernels() async throws {
        let report = try await run(
            ["block", "--model", "emoji-nano", "--tokens", "1"], precision: "auto",
            environment: ["INKSTONE_KERNELS": "portable"])
        #expect(report.kernels == "portable" && report.precision == "f32")
    }

    @Test("without --json there is a line on the machine and one for each figure")
    func text() async throws {
        let result = try await Program.run(
            [
                "benchmark", "kernels", "--model", "emoji-nano", "--tokens", "33", "--repeat", "1",
                "--threads", "1", "--precision", "f32",
            ], in: try TemporaryFolder(), environment: ["INKSTONE_KERNELS": "portable"])
        let lines = result.output.split(separator: "\n")
        #expect(lines.count == 6)
        #expect(
            lines.first?.hasPrefix("emoji-nano in f32 on portable, 1 thread; peak in GOP/s: ")
                == true)
        #expect(
            lines.dropFirst().allSatisfy {
                $0.contains(/: [\d.]+ ms \([\d.]+ to [\d.]+\), \d+ GOP\/s, \d+ % of peak$/)
            }, "\(result.output)")
    }

    @Test(
        "options that do not fit are refused",
        arguments: [
            "block --size 512", "step --tokens 5", "text --steps 2", "step --size 100",
            "step --model a --random-weights z-image-turbo", "block --tokens 0",
        ])
    func refused(_ line: String) async throws {
        let result = try await Program.run(
            ["benchmark"] + line.split(separator: " ").map(String.init),
            in: try TemporaryFolder())
        #expect(result.status == 64)
        #expect(result.errors.hasPrefix("inkstone: --"), "\(result.errors)")
    }
}
