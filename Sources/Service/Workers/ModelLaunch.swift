// Part of Inkstone. Licence: see LICENSE.

package import Engine
package import Foundation
package import Tensors

/// A model to launch, and how its workers run it.
package struct ModelLaunch: Sendable {
    /// A LoRA file and its strength.
    package struct LoRA: Sendable, Equatable {
        /// The file.
        package var file: URL
        /// 1 applies it as it was trained.
        package var scale: Double

        /// The file with the given strength.
        package init(file: URL, scale: Double) {
            self.file = file
            self.scale = scale
        }
    }

    /// The model's folder.
    package var folder: URL
    /// Name for requests instead of the model's own.
    package var id: String?
    /// Workers; requests go to the one that has fewest.
    package var replicas = 1
    /// Merged into the weights.
    package var loras: [LoRA] = []
    /// Folder of files that requests may name, beside those of the model.
    package var loraFolder: URL?
    /// Folder of ControlNets that requests may name, beside those of the model.
    package var controlNetFolder: URL?
    /// Precision of the products.
    package var precision = PrecisionChoice.auto
    /// Threads of each worker; its share of the processors if not given.
    package var threads: Int?
    /// Where workers run: at most one on each GPU, any number on the processor.
    package var devices = [DeviceSelection.cpu]
    /// Most memory of a graphics card to use, in 10^9 bytes.
    package var deviceMemory: Double?
    /// Whether it runs on graphics cards alone; `auto` is only known in the worker.
    package var isOnGPU: Bool { devices.allSatisfy(\.isVulkan) }
    /// How much each worker takes on at once.
    package var limits = SchedulerLimits()
    /// Whether prompts that come again are not read again.
    package var keepsPrompts = true
    /// Whether packed weights are kept on the disk.
    package var keepsWeights = true
    /// Where they are kept, if not in the usual place.
    package var cacheFolder: String?

    /// A model with the usual options.
    package init(folder: URL) {
        self.folder = folder
    }

    /// Chooses the devices of more workers.
    ///
    /// - Parameters:
    ///   - count: number of workers.
    ///   - used: devices of the workers that are there.
    /// - Returns: a device for each worker.
    /// - Throws: `LaunchError` with the code `usage` if there are not enough devices.
    package func devices(for count: Int, beside used: [DeviceSelection]) throws(LaunchError)
        -> [DeviceSelection]
    {
        let free = devices.filter { $0 != .cpu && !used.contains($0) }
        let missing = max(0, count - free.count)
        guard missing == 0 || devices.contains(.cpu) else {
            throw LaunchError(
                .usage,
                "a GPU holds the model of one worker, so that \(devices.map(\.argument).joined(separator: ", ")) can have"
                    + " \(devices.count), and \(used.count + count) were requested; name more with --device."
            )
        }
        return free.prefix(count) + Array(repeating: .cpu, count: missing)
    }

    /// The words of a worker's command line.
    func arguments(socket: String, threads share: Int, device: DeviceSelection) -> [String] {
        var words = [
            "worker", "--socket", socket, "--model", folder.absoluteURL.path,
            "--precision", precision.rawValue, "--threads", String(threads ?? share),
            "--device", device.argument,
            "--running", String(limits.running), "--waiting", String(limits.waiting),
            "--pass-tokens", String(limits.passTokens),
        ]
        if let deviceMemory { words += ["--device-memory", String(deviceMemory)] }
        // The scale is always said: a file's name may end in what looks like one.
        for lora in loras { words += ["--lora", "\(lora.file.absoluteURL.path):\(lora.scale)"] }
        if let loraFolder { words += ["--lora-folder", loraFolder.absoluteURL.path] }
        if let controlNetFolder {
            words += ["--control-net-folder", controlNetFolder.absoluteURL.path]
        }
        if !keepsPrompts { words.append("--no-prompt-cache") }
        if !keepsWeights { words.append("--no-weight-cache") }
        if let cacheFolder { words += ["--cache-dir", cacheFolder] }
        return words
    }
}
