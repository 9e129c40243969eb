// Part of Inkstone. Licence: see LICENSE.

package import Engine
import Imaging
import Parameters
import Synchronization
import Telemetry

/// Metrics of the engine; `Docs/metrics.md` explains each of them.
package final class EngineMetrics: Sendable {
    /// How a request to the engine ended.
    package enum Outcome: String, CaseIterable, Sendable {
        case ok
        case cancelled
        case busy
        case notLoaded = "not_loaded"
        case numeric
        case storage
        case workerLost = "worker_lost"
        case lora
        case control
        case internalFailure = "internal"

        /// The outcome of a stream that ended.
        init(_ end: JobEventStream.End) {
            switch end {
            case .ok: self = .ok
            case .cancelled: self = .cancelled
            case .failed(let error): self.init(error)
            }
        }

        private init(_ error: any Error) {
            switch error {
            case is CancellationError: self = .cancelled
            case let error as GenerationError:
                switch error.code {
                case .busy: self = .busy
                case .notLoaded: self = .notLoaded
                case .numeric: self = .numeric
                case .storage, .queueUnreachable: self = .storage
                case .workerLost: self = .workerLost
                case .deadline, .serverStopped: self = .cancelled
                case .lora: self = .lora
                case .control: self = .control
                case .internalFailure: self = .internalFailure
                }
            default: self = .internalFailure
            }
        }
    }

    /// The device of workers that do not publish theirs.
    package static let usualDevice = "cpu"
    /// From a step of the embedded model to an image of a large one on a slow machine.
    private static let secondsBuckets = [
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120,
        300, 600, 1200, 3600,
    ]

    let running, queued: Gauge
    let queueTime, firstPreview, duration, textEncode, decode: Histogram
    let images, pixels, generations, cancelled: Counter
    private let evaluations, tokens, sampled, controls: Counter
    private let step, batch: Histogram
    private let busy, deviceSteps: Counter
    private let modelLoad, modelInfo, parameters, loras: Gauge
    /// Expected seconds of an evaluation for each pixel of an image, by model.
    private let expectedSeconds = Mutex<[String: Double]>([:])

    init(_ registry: MetricRegistry) {
        func seconds(_ name: String, _ help: String) -> Histogram {
            registry.histogram(
                "inkstone_\(name)_seconds", help, buckets: Self.secondsBuckets, labels: ["model"])
        }
        func total(_ name: String, _ help: String, _ labels: String...) -> Counter {
            registry.counter("inkstone_\(name)_total", help, labels: labels)
        }
        func gauge(_ name: String, _ help: String, _ labels: String...) -> Gauge {
            registry.gauge("inkstone_" + name, help, labels: labels)
        }
        running = gauge("requests_running", "Requests that the engine works on.")
        queued = gauge("requests_queued", "Requests that wait for the engine.", "priority")
        for priority in Priority.allCases { queued.set(0, priority.rawValue) }
        queueTime = seconds(
            "queue_time", "Waiting of a request before work on it began or it was given up.")
        firstPreview = seconds(
            "time_to_first_preview", "From asking the engine to the first preview of a request.")
        duration = seconds(
            "generation_duration", "From asking the engine to its last word about a request.")
        textEncode = seconds(
            "text_encode", "Encoding of the prompts of an image, near 0 where they were known.")
        step = seconds("denoise_step", "One pass: a step of all images of a batch.")
        batch = registry.histogram(
            "inkstone_batch_size", "Images that shared a pass.",
            buckets: [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64], labels: ["model"])
        decode = seconds("vae_decode", "Decoding of an image.")
        images = total("images", "Finished images.", "model")
        pixels = total("pixels", "Pixels of finished images.", "model")
        sampled = total(
            "sampled_images", "Finished images by how they were sampled.", "model", "sampler",
            "scheduler")
        evaluations = total(
            "denoise_evaluations",
            "Evaluations of images; 8 steps of Euler count 8, with guidance and without.", "model")
        tokens = total("denoise_tokens", "Tokens of all sequences of all passes.", "model")
        controls = total(
            "control_images", "Finished images that a ControlNet acted on.", "model", "net")
        generations = total("generations", "Requests to the engine by outcome.", "model", "outcome")
        cancelled = total(
            "requests_cancelled", "Requests to the engine that were given up.", "phase")
        for phase in ["queued", "running"] { cancelled.show(phase) }
        busy = total("engine_busy_seconds", "Work of a device, in seconds.", "device")
        deviceSteps = total("device_steps", "Steps of images that a device computed.", "device")
        for counter in [busy, deviceSteps] { counter.show(Self.usualDevice) }
        modelLoad = gauge("model_load_seconds", "What loading the model took.", "model")
        modelInfo = gauge(
            "model_info", "A loaded model; always 1.", "model", "precision", "kernels")
        parameters = gauge("model_parameters", "Weights of a loaded model.", "model")
        loras = gauge("lora_loaded", "LoRA files merged into the model.", "model")
    }

    /// Records that a model was loaded.
    ///
    /// - Parameters:
    ///   - model: the model.
    ///   - seconds: what loading took.
    ///   - files: LoRA files merged into it.
    package func modelLoaded(_ model: ModelDescription, seconds: Double, loras files: Int) {
        modelLoad.set(seconds, model.id)
        modelInfo.set(1, model.id, model.precision, model.kernels)
        parameters.set(Double(model.parameterCount), model.id)
        loras.set(Double(files), model.id)
        // A counter that begins at 0 shows the first image; one that begins at 1 hides it.
        for counter in [images, pixels, evaluations, tokens] { counter.show(model.id) }
        for outcome in Outcome.allCases { generations.show(model.id, outcome.rawValue) }
    }

    /// Records that a model was terminated; its counters stay.
    package func modelTerminated(_ id: String) {
        for gauge in [modelLoad, modelInfo, parameters, loras] { gauge.remove(id) }
    }

    /// Sets the seconds that an evaluation of a model takes for each pixel of an image, as the speed of the
    /// machine lets expect.
    package func expect(secondsPerPixel seconds: Double, of model: String) {
        expectedSeconds.withLock { $0[model] = seconds }
    }

    /// The expected seconds of an evaluation for each pixel of an image, by model.
    var expectations: [String: Double] { expectedSeconds.withLock { $0 } }

    /// Records a pass through a model's transformer on a device.
    package func count(_ pass: PassReport, model: String, device: String = usualDevice) {
        step.observe(pass.seconds, model)
        batch.observe(Double(pass.images), model)
        evaluations.add(Double(pass.images), model)
        tokens.add(Double(pass.tokens), model)
        busy.add(pass.seconds, device)
        deviceSteps.add(Double(pass.images), device)
    }

    /// Records a finished image of a request.
    func record(_ image: GeneratedImage, of request: ImageRequest, model: String) {
        for net in Set(request.controls.map(\.model)) { controls.add(1, model, net) }
        images.add(1, model)
        sampled.add(
            1, model, request.sampling.sampler.rawValue, request.sampling.schedule.rawValue)
        pixels.add(Double(image.image.width * image.image.height), model)
        textEncode.observe(image.seconds.text, model)
        decode.observe(image.seconds.decode, model)
        busy.add(
            image.seconds.text + image.seconds.decode, image.origin?.device ?? Self.usualDevice)
    }
}
