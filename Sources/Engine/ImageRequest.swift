// Part of Inkstone. Licence: see LICENSE.

public import Imaging
public import Parameters

/// A request for images, complete and within the model's limits.
///
/// Every dialect, the page, the command line and the tests end here. The parameters are read as if
/// they were its own: `request.steps` is `request.parameters.steps`.
@dynamicMemberLookup
public struct ImageRequest: Sendable, Equatable {
    /// The pixels of an image to start from.
    public struct Source: Sendable, Equatable {
        /// The image; resized to the request's size.
        public var image: RGBImage
        /// White where the image is sampled again; resized to the request's size; `nil` is everywhere.
        public var mask: RGBImage?

        /// Starts from `image`, where `mask` is white.
        public init(image: RGBImage, mask: RGBImage? = nil) {
            self.image = image
            self.mask = mask
        }

        /// Returns both images in the size of the images that start from them, resized as the engine resizes
        /// them.
        ///
        /// - Throws: `ImagingError` when a side is below 1.
        package func resized(to size: PixelSize) throws(ImagingError) -> Source {
            var mask = mask
            if let larger = mask {
                mask = try larger.resized(width: size.width, height: size.height)
            }
            return Source(
                image: try image.resized(width: size.width, height: size.height), mask: mask)
        }
    }

    /// A request as a client stated it; `nil` where it stated nothing.
    @dynamicMemberLookup
    public struct Draft: Sendable, Equatable {
        /// What the images are sampled from.
        public var parameters: SamplingParameters.Draft
        /// Images.
        public var count: Int?
        /// An image to start from; the parameters need a strength then.
        public var source: Source?
        /// The order among requests that wait.
        public var priority: Priority?
        /// Whether files of the images hold the generation parameters.
        public var embedsParameters: Bool?

        /// A draft of parameters; everything else is the default.
        public init(_ parameters: SamplingParameters.Draft) {
            self.parameters = parameters
        }

        /// A draft that states the prompt alone.
        public init(prompt: String) {
            self.init(SamplingParameters.Draft(prompt: prompt))
        }

        /// A parameter of the draft.
        public subscript<Value>(
            dynamicMember path: WritableKeyPath<SamplingParameters.Draft, Value>
        ) -> Value {
            get { parameters[keyPath: path] }
            set { parameters[keyPath: path] = newValue }
        }
    }

    /// What the images are sampled from; image *i* has the seed `seed + i`, or mixes in the other seed's next.
    ///
    /// There is a strength exactly where the images start from another one.
    public let parameters: SamplingParameters
    /// Images.
    public let count: Int
    /// The image to start from; `nil` without one, and where its pixels travel apart.
    public let source: Source?
    /// The order among requests that wait.
    public let priority: Priority
    /// Whether files of the images hold the generation parameters; without them a file says nothing about its prompt.
    public let embedsParameters: Bool

    /// A sampling parameter.
    public subscript<Value>(dynamicMember path: KeyPath<SamplingParameters, Value>) -> Value {
        parameters[keyPath: path]
    }

    /// Fills the gaps of a draft with the model's defaults and checks every field.
    ///
    /// - Throws: `RequestError` that names the field, what was expected and the value received.
    public init(_ draft: Draft, for model: ModelDescription) throws(RequestError) {
        let count = draft.count ?? 1
        try RequestError.check(count, "count", in: 1...model.limits.maximumCount)
        var stated = draft.parameters
        // A strength without an image has no meaning, an image without a strength is run whole.
        stated.strength = draft.source.map { _ in stated.strength ?? 1 }
        self.init(
            parameters: try SamplingParameters(
                stated, defaults: model.defaults, limits: model.limits),
            count: count, source: draft.source, priority: draft.priority ?? .normal,
            embedsParameters: draft.embedsParameters ?? true)
    }

    /// A request of parts that were checked before.
    package init(
        parameters: SamplingParameters, count: Int, source: Source? = nil,
        priority: Priority = .normal, embedsParameters: Bool = true
    ) {
        self.embedsParameters = embedsParameters
        self.parameters = parameters
        self.count = count
        self.source = source
        self.priority = priority
    }

    /// Returns the same request with the pixels of its source, or without them.
    package func with(source: Source?) -> ImageRequest {
        with(parameters, source: source)
    }

    /// Returns the same request with the strength that its source is run with.
    package func with(strength: Double) -> ImageRequest {
        var changed = parameters
        changed.strength = strength
        return with(changed, source: source)
    }

    /// Returns the same request with other parameters and the pixels of another source.
    func with(_ parameters: SamplingParameters, source: Source?) -> ImageRequest {
        ImageRequest(
            parameters: parameters, count: count, source: source, priority: priority,
            embedsParameters: embedsParameters)
    }

    /// Returns the same request without its first images.
    package func dropping(first number: Int) -> ImageRequest {
        precondition(number < count, "a request keeps at least one image")
        return ImageRequest(
            parameters: parameters.image(at: number), count: count - number, source: source,
            priority: priority, embedsParameters: embedsParameters)
    }
}
