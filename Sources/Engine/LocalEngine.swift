// Part of Inkstone. Licence: see LICENSE.

package import Catalog
package import Tensors
package import ZImage

/// An engine in this process, on any device.
package protocol LocalEngine: ImageGenerating, ModelListing {
    /// The model's description for clients.
    var description: ModelDescription { get }
    /// LoRA files that requests may use.
    var loras: LoRARegistry { get }
    /// ControlNets that requests may use.
    var controlNets: ControlNetRegistry { get }
    /// Precision of matrix products.
    var precision: Precision { get }
    /// The device in the words of `--device`.
    var deviceName: String { get }
    /// Memory of the device; `nil` if it shares the machine's memory.
    var deviceMemory: DeviceMemoryUse? { get }
    /// Threads of the processor that execute each operation.
    var threads: Int { get }
    /// Which keys of the LoRA files that are merged into the weights matched a layer.
    var loraReports: [LoRAReport] { get }
    /// Statistics of the prompt cache, or `nil` if it is disabled.
    var promptCacheInfo: PromptCacheInfo? { get }
    /// Names of the LoRA files in memory.
    var loadedLoRAs: [String] { get }
    /// Requests that share the device, and requests that wait.
    var load: (running: Int, waiting: Int) { get }
    /// Incremented by every unit of work and every layer; an engine with requests and a constant
    /// heartbeat hangs.
    var heartbeat: Int { get }

    /// Returns which keys of LoRA files match a layer.
    func reports(of loras: [LoRASource]) throws -> [LoRAReport]

    /// Runs a request on the calling thread, while nothing else uses the pipeline.
    ///
    /// - Parameters:
    ///   - request: the request.
    ///   - options: options of a parity check.
    ///   - isCancelled: called before every step.
    ///   - onEvent: called with each event.
    /// - Throws: `GenerationError` or `CancellationError`.
    func run(
        _ request: ImageRequest, options: RunOptions, isCancelled: () -> Bool,
        onEvent: (JobEvent) -> Void
    ) throws
}
