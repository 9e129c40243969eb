// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Engine
import Foundation
import ModelFiles
import Tensors
import ZImage

/// `inkstone doctor`: what this machine has and lacks.
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Say what this machine has and lacks: processor, memory, disk, ports, models.")

    @Option(help: "Port of the API to look at.")
    var port = 9997

    @Option(help: "Port of the page to look at.")
    var pagePort = 7860

    func run() throws {
        var problems = 0
        func line(_ good: Bool, _ text: String) {
            if !good { problems += 1 }
            print("\(good ? "ok  " : "LOOK")  \(text)")
        }
        print("inkstone \(version)")
        let kernels = CPUBackend.availableKernels
        line(
            kernels.count > 1,
            "processor: kernels \(kernels.joined(separator: ", ")); auto precision is"
                + " \(PrecisionChoice.auto.resolved.rawValue)"
                + (kernels.count > 1
                    ? "" : ". Without AVX2 pictures take several times as long"))
        let threads = ProcessInfo.processInfo.activeProcessorCount
        line(true, "threads: \(threads)")
        if let free = MemoryPlan.availableBytes {
            line(
                free > 1_000_000_000,
                "memory: \(Self.gigabytes(free)) free; the embedded model needs less than 1 GB,"
                    + " Z-Image-Turbo in bf16 about 15 GB")
        } else {
            line(false, "memory: the system does not say how much is free")
        }
        let home = FileManager.default.currentDirectoryPath
        if let free = try? FileManager.default.attributesOfFileSystem(forPath: home)[
            .systemFreeSize] as? NSNumber
        {
            line(
                free.intValue > 3_000_000_000,
                "disk: \(Self.gigabytes(free.intValue)) free here; a first build takes about 3 GB")
        }
        for (name, number) in [("API", port), ("page", pagePort)] {
            let free = Self.isFree(port: number)
            line(
                free,
                "port \(number) (\(name)): "
                    + (free
                        ? "free"
                        : "taken; stop the other program, or choose another with"
                            + " --\(name == "API" ? "port" : "page-port")"))
        }
        let locator = ModelLocator()
        let models = locator.all()
        if models.isEmpty {
            line(
                false,
                "models: none found; looked in \(locator.roots.map(\.path).joined(separator: ", "))")
        }
        for folder in models {
            do {
                let model = try ModelDirectory(url: folder)
                try model.checkTensors()
                let plan = try MemoryPlan(
                    model: model, precision: PrecisionChoice.auto.resolved)
                line(
                    true,
                    "model \(model.manifest.id): complete,"
                        + " \(Self.gigabytes(plan.streamedBytes)) of weights, \(folder.path)")
            } catch {
                line(false, "model \(folder.lastPathComponent): \(error)")
            }
        }
        print(problems == 0 ? "Nothing is missing." : "\(problems) to look at.")
    }

    private static func gigabytes(_ count: Int) -> String {
        "\((Double(count) / 1e7).rounded() / 100) GB"
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
