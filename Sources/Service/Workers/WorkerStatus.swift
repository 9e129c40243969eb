// Part of Inkstone. Licence: see LICENSE.

package import Engine
package import ZImage

/// A worker's status.
package struct WorkerStatus: Sendable, Codable, Equatable {
    /// Whether it accepts requests.
    package enum State: String, Sendable, Codable {
        /// Its model is loading.
        case loading
        /// It accepts requests.
        case ready
        /// It finishes its requests and accepts no more.
        case draining
    }

    /// Whether it accepts requests.
    package var state: State
    /// Its process.
    package var pid: Int32
    /// Share of the weights that are loaded.
    package var loaded: Double
    /// Bytes in memory; weights that are mapped from files count where they were read.
    package var memoryBytes: Int
    /// Its device in the words of `--device`; absent in workers of version 0.1.
    package var device: String?
    /// Memory of its GPU; absent on the processor, and in workers of version 0.1.
    package var deviceMemory: DeviceMemoryUse?
    /// Requests that share the device.
    package var running: Int
    /// Requests that wait in it.
    package var waiting: Int
    /// The passes of its device.
    package var passes: PassTotals
    /// Figures of its prompt cache, if it has one.
    package var promptCache: PromptCacheInfo?
    /// LoRA files that it has in memory.
    package var loadedLoRAs: [String] = []
    /// The model, once it is loaded.
    package var model: ModelDescription?
    /// Seconds of one evaluation of the model for each pixel of an image, as the machine's speed lets
    /// expect; absent in workers of version 0.1.
    package var secondsPerPixel: Double?

    package init(
        state: State, pid: Int32, loaded: Double, memoryBytes: Int, running: Int, waiting: Int,
        passes: PassTotals, promptCache: PromptCacheInfo? = nil, loadedLoRAs: [String] = [],
        model: ModelDescription? = nil, secondsPerPixel: Double? = nil,
        device: String? = nil, deviceMemory: DeviceMemoryUse? = nil
    ) {
        self.state = state
        self.pid = pid
        self.loaded = loaded
        self.memoryBytes = memoryBytes
        self.running = running
        self.waiting = waiting
        self.passes = passes
        self.promptCache = promptCache
        self.loadedLoRAs = loadedLoRAs
        self.model = model
        self.secondsPerPixel = secondsPerPixel
        self.device = device
        self.deviceMemory = deviceMemory
    }
}

/// All passes of a worker together.
package struct PassTotals: Sendable, Codable, Equatable {
    /// Passes through the transformer.
    package var count = 0
    /// Images that moved one step on, summed over passes.
    package var images = 0
    /// Tokens, summed over passes.
    package var tokens = 0
    /// Seconds in passes.
    package var seconds = 0.0

    package init() {}

    /// Adds the passes of another worker.
    package mutating func add(_ other: PassTotals) {
        count += other.count
        images += other.images
        tokens += other.tokens
        seconds += other.seconds
    }

    /// Adds a pass.
    mutating func add(_ pass: PassReport) {
        count += 1
        images += pass.images
        tokens += pass.tokens
        seconds += pass.seconds
    }
}
