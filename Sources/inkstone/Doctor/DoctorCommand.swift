// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Basics
import Catalog
import Engine
import Foundation
import ModelFiles
import Service
import Tensors
import ZImage

/// `inkstone doctor`: checks the machine and a data folder.
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Check this machine and the data folder: models, ports, jobs, images, keys.",
        discussion: """
            Nothing is changed, and a server may run meanwhile. Lines begin with 'ok', with 'note' for what \
            needs no action, or with 'LOOK' and what to do; the exit status is 1 if there is one of these.
            """)

    @Option(parsing: .unconditional, help: ArgumentHelp("Port of the API.", valueName: "port"))
    var port = 9997

    @Option(parsing: .unconditional, help: ArgumentHelp("Port of the page.", valueName: "port"))
    var pagePort = 7860

    @Option(
        help: ArgumentHelp(
            "The data folder; INKSTONE_DATA or ~/.local/share/inkstone/data if not given.",
            valueName: "folder"))
    var data: String?

    mutating func validate() throws {
        try checkPorts(port, pagePort)
    }

    private typealias Finding = CheckFinding

    func run() throws {
        print("inkstone \(version)")
        let data = DataFolderCheck(DataOptions.folder(data)).run()
        let ports = [
            free(port: port, "API", option: "--port", data.isInUse),
            free(port: pagePort, "page", option: "--page-port", data.isInUse),
        ]
        let findings =
            [processor, memory] + VulkanCheck.findings(for: Self.largeModelOnGPU) + [disk, cache]
            + ports + models
            + data.findings
        for finding in findings {
            print("\(Self.label(finding.severity))  \(finding.text)")
        }
        let problems = findings.count { $0.severity == .problem }
        print(problems == 0 ? "Nothing to do." : "\(problems) to look at.")
        if problems > 0 { Foundation.exit(ExitStatus.findings.rawValue) }
    }

    private static func label(_ severity: CheckFinding.Severity) -> String {
        switch severity {
        case .good: "ok  "
        case .note: "note"
        case .problem: "LOOK"
        }
    }

    private var processor: Finding {
        let kernels = CPUBackend.availableKernels
        let selected = CPUBackend.defaultKernels
        let threads = ProcessInfo.processInfo.activeProcessorCount
        let text =
            "processor: \(threads) \(threads == 1 ? "thread" : "threads"), kernels"
            + " \(kernels.joined(separator: ", "))"
            + (selected == kernels[0] ? "" : ", of which INKSTONE_KERNELS selects \(selected)")
            + "; precision auto is"
            + " \(CPUBackend.bestPrecision(parameters: 0).rawValue), for large models"
            + " \(CPUBackend.bestPrecision(parameters: .max).rawValue)"
        guard kernels.count > 1 else {
            return Finding(.note, text + "; without AVX2 an image takes several times as long")
        }
        return Finding(.good, text)
    }

    private var memory: Finding {
        guard let free = MemoryPlan.availableBytes else {
            return Finding(.note, "memory: the system does not say how much is free")
        }
        let large = Self.largeModel.map {
            ", Z-Image-Turbo in \($0.precision.rawValue) \($0.bytes.byteText)"
        }
        return Finding(
            free > 1_000_000_000 ? .good : .problem,
            "memory: \(free.byteText) free; the embedded model needs less than 1 GB\(large ?? "")")
    }

    /// The precision that `auto` selects for Z-Image-Turbo, and the bytes that it needs then.
    private static var largeModel: (precision: Precision, bytes: Int)? {
        guard let model = try? RandomModel.zImageTurbo.directory(tokenizerOf: URL(filePath: "/")),
            let precision = try? PrecisionChoice.auto.resolved(for: model),
            let plan = try? MemoryPlan(model: model, precision: precision)
        else { return nil }
        return (precision, plan.residentBytes)
    }

    /// What Z-Image-Turbo needs on a GPU.
    private static var largeModelOnGPU: (name: String, plan: MemoryPlan)? {
        guard let model = try? RandomModel.zImageTurbo.directory(tokenizerOf: URL(filePath: "/")),
            let precision = try? PrecisionChoice.auto.resolved(for: model, isOnGPU: true),
            let plan = try? MemoryPlan(model: model, precision: precision)
        else { return nil }
        return ("Z-Image-Turbo in \(precision.rawValue)", plan)
    }

    private var disk: Finding {
        let folder = FileManager.default.currentDirectoryPath
        let attributes = try? FileManager.default.attributesOfFileSystem(forPath: folder)
        guard let free = attributes?[.systemFreeSize] as? NSNumber else {
            return Finding(.note, "disk: the system does not say how much is free in \(folder)")
        }
        return Finding(
            free.intValue > 1_000_000_000 ? .good : .problem,
            "disk: \(free.intValue.byteText) free in \(folder); an image takes about 2 MB, a"
                + " Z-Image-Turbo folder about 33 GB")
    }

    private var cache: Finding {
        guard let summary = WeightCacheOptions.summary else {
            return Finding(
                .note,
                "cache: there is no home folder; set INKSTONE_CACHE, or large models are packed"
                    + " at every start")
        }
        return Finding(.good, "cache: \(summary)")
    }

    private func free(
        port: Int, _ name: String, option: String, _ isServing: Bool
    ) -> Finding {
        if Self.isFree(port: port) { return Finding(.good, "port \(port) (\(name)): free") }
        guard !isServing else {
            return Finding(
                .note,
                "port \(port) (\(name)): taken, as expected while a server uses the data folder")
        }
        return Finding(
            .problem,
            "port \(port) (\(name)): taken; stop the other program, or choose another with \(option)"
        )
    }

    private var models: [Finding] {
        let locator = ModelLocator()
        let entries = locator.entries
        guard !entries.isEmpty else {
            let roots = locator.roots.map(\.path).joined(separator: ", ")
            return [Finding(.problem, "models: none found in \(roots)")]
        }
        return entries.map { entry in
            do {
                let model = try entry.open()
                try model.checkTensors()
                let precision = try PrecisionChoice.auto.resolved(for: model)
                let plan = try MemoryPlan(model: model, precision: precision)
                return Finding(
                    .good,
                    "model \(model.manifest.id): complete, \(plan.residentBytes.byteText) in"
                        + " \(precision.rawValue) (\(PrecisionChoice.auto.reason(for: precision))),"
                        + " \(entry.folder.path)")
            } catch {
                return Finding(.problem, "model \(entry.name): \(error)")
            }
        }
    }

    /// Tries to bind the port on the loopback address.
    private static func isFree(port: Int) -> Bool {
        guard let port = UInt16(exactly: port) else { return false }
        #if canImport(Glibc)
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        #else
            let descriptor = socket(AF_INET, SOCK_STREAM, 0)
        #endif
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var reuse: Int32 = 1
        setsockopt(
            descriptor, SOL_SOCKET, SO_REUSEADDR, &reuse, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}
