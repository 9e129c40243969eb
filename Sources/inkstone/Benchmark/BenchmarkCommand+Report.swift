// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Basics
import Catalog
import Engine
import Foundation
import ModelFiles
import Tensors
import VulkanTensors
import ZImage

extension BenchmarkCommand {
    /// Subjects of a report, in order.
    private static let reported: [Subject] = [.kernels, .block, .text, .step, .decoder]

    /// Prints one page about a GPU: what it is, its peaks, and where the time of each part goes.
    ///
    /// It contains neither paths nor prompts, and no name of a model but that of the embedded one.
    func writeReport(_ model: ModelDirectory, on device: any Backend) throws {
        guard let gpu = device as? VulkanBackend else {
            throw ValidationError("report is about a GPU: add --device vulkan.")
        }
        let rates = try MachineRates(of: gpu)
        let facts = GPUFacts(gpu)
        var reports: [BenchmarkReport] = []
        for subject in Self.reported {
            let part = subject.isPart ? try openModel(subject) : model
            let (results, profiles) = try results(of: subject, part, on: gpu)
            reports.append(
                BenchmarkReport(
                    subject: subject.rawValue, model: Self.publicName(of: part), device: gpu,
                    rates: rates, results: results, profiles: profiles))
        }
        if json {
            print("[\(try reports.map { try $0.json() }.joined(separator: ","))]")
            return
        }
        print("# Inkstone \(version) on \(facts.name)\n")
        for line in Self.lines(facts) { print("* \(line)") }
        for (subject, report) in zip(Self.reported, reports) {
            print("\n## \(subject.rawValue)\n\n```\n\(report.lines.joined(separator: "\n"))\n```")
        }
        print("\n<details><summary>The same as JSON</summary>\n\n```json")
        for report in reports { print(try report.json()) }
        print("```\n\n</details>")
    }

    private static func lines(_ facts: GPUFacts) -> [String] {
        let matrices =
            facts.matrixShapes.isEmpty ? "none" : facts.matrixShapes.joined(separator: "; ")
        return [
            "GPU: \(facts.kind), \(facts.memoryBytes.byteText) of memory, driver \(facts.driver), Vulkan"
                + " \(facts.vulkan)",
            "Subgroups of \(facts.subgroupSize) threads, \(facts.sharedMemoryBytes >> 10) KiB of shared memory",
            "Matrix instructions: \(matrices)"
                + (facts.matrixFault.map { "; not used, since \($0)" } ?? ""),
            "Queue for transfers: \(facts.hasTransferQueue ? "yes" : "none beside that of the kernels")",
            "Timestamps: \(facts.hasTimestamps ? "yes" : "none, so that kernels have no times")",
            "Processor: \(ProcessorName.current ?? "unknown"),"
                + " \(ProcessInfo.processInfo.activeProcessorCount) threads",
            "System: \(ProcessInfo.processInfo.operatingSystemVersionString)",
        ]
    }

    /// The name of a model that is public; other names could identify a person.
    private static func publicName(of model: ModelDirectory) -> String {
        let id = model.manifest.id
        let known =
            [ModelLocator.embeddedModel] + RandomModel.allCases.map { "random-\($0.rawValue)" }
        return known.contains(id) ? id : "another model"
    }
}
