// Part of Inkstone. Licence: see LICENSE.

/// The result of one request, as seen by a driver.
package struct DriverOutcome: Sendable {
    /// The times; the caller sets `planned`.
    package var times: RequestTimes
    package var calls: [WireCall] = []
    package var error: ErrorClass?
    package var errorDetail: String?
    package var bodyBytes = 0
    package var image: ImageBytes?
    package var server: ServerTimings?

    /// Creates the outcome of a call, without an image yet.
    init(_ exchange: Exchange, _ call: HTTPCall) {
        times = RequestTimes(
            planned: exchange.send, send: exchange.send, headOut: exchange.headOut,
            headIn: exchange.headIn, firstByte: exchange.firstByte, end: exchange.end)
        calls = [exchange.wire(call)]
        bodyBytes = exchange.bodyBytes
        check(exchange)
    }

    /// Records a failure of the transport or a status that is not 2xx.
    mutating func check(_ exchange: Exchange) {
        if let failure = exchange.failure {
            fail(failure.error, failure.detail)
            if failure.error == .abortedByTester { times.end = nil }
        } else if let status = exchange.status, !(200..<300).contains(status) {
            let detail = "\(status) " + String(decoding: exchange.body.prefix(300), as: UTF8.self)
            switch status {
            case 429: fail(.rejected, detail)
            case 400..<500: fail(.http4xx, detail)
            case 500..<600: fail(.http5xx, detail)
            default: fail(.eventError, detail)
            }
        }
    }

    /// Records a failure; the first one is retained.
    mutating func fail(_ error: ErrorClass, _ detail: String) {
        guard self.error == nil else { return }
        self.error = error
        errorDetail = detail
    }

    /// Adds another call of the same request: its bytes, end and failure.
    mutating func add(_ exchange: Exchange, _ call: HTTPCall) {
        calls.append(exchange.wire(call))
        bodyBytes += exchange.bodyBytes
        times.end = exchange.end
        check(exchange)
    }

    /// Records the final image, complete at `time`.
    mutating func finish(
        with image: ImageBytes, at time: Int64?, _ parameters: RequestParameters
    ) {
        self.image = image
        if let header = image.header, header.width == parameters.width,
            header.height == parameters.height
        {
            times.image = time
        }
    }
}

/// A client of one dialect.
package protocol Driver: Sendable {
    /// Requests an image and waits for its end; failures are part of the outcome.
    func generate(_ request: DriverRequest) async -> DriverOutcome
}

/// A request of a driver.
package struct DriverRequest: Sendable {
    /// What is requested.
    package var parameters: RequestParameters
    /// The files that are sent.
    package var inputs = RequestInputs()
    /// The `X-Request-Id` of the first call.
    package var id: String
    /// Whether no other request is in flight.
    package var isAlone: Bool

    package init(
        _ parameters: RequestParameters, inputs: RequestInputs = RequestInputs(), id: String,
        isAlone: Bool
    ) {
        self.parameters = parameters
        self.inputs = inputs
        self.id = id
        self.isAlone = isAlone
    }
}

extension Dialect {
    /// Whether masks are transparent where the image is generated again; otherwise they are white there.
    var hasTransparentMasks: Bool {
        switch self {
        case .openAI, .openAIStream: true
        default: false
        }
    }

    /// Creates the driver of the dialect.
    ///
    /// `workflow` is that of ComfyUI; by default one with the checkpoint `model`.
    package func driver(
        _ http: LoadClient, model: String?, workflow: ComfyUIWorkflow? = nil
    ) -> any Driver {
        switch self {
        case .openAI: OpenAIDriver(http: http, model: model)
        case .openAIStream: OpenAIStreamDriver(http: http, model: model)
        case .xinference: XinferenceDriver(http: http, model: model)
        case .a1111: A1111Driver(http: http)
        case .jobs: JobsDriver(http: http, model: model)
        case .sdcpp: StableDiffusionCppDriver(http: http)
        case .sglang: CompatibleDriver(http: http, model: model, form: .sglang)
        case .vllmOmni: CompatibleDriver(http: http, model: model, form: .vllmOmni)
        case .localAI: CompatibleDriver(http: http, model: model, form: .localAI)
        case .comfyUI:
            ComfyUIDriver(http: http, workflow: workflow ?? ComfyUIWorkflow(model: model))
        }
    }
}
