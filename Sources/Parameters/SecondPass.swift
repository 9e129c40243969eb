// Part of Inkstone. Licence: see LICENSE.

/// A second pass in a larger size: the image is enlarged, mixed with noise, and sampled again.
public struct SecondPass: Sendable, Codable, Equatable {
    /// How the first pass's image is enlarged.
    public enum Upscaler: String, Sendable, Codable, CaseIterable {
        /// Its pixels, with a Lanczos window of three lobes.
        case lanczos
        /// Its latents, between the nearest two in each direction.
        case latent
        /// Its latents, between the nearest four in each direction.
        case latentBicubic = "latent_bicubic"
        /// Its latents, each one repeated.
        case latentNearest = "latent_nearest"

        /// The strength of a second pass that states none: enlarged latents are blurred and need more.
        public var standardStrength: Double { self == .lanczos ? 0.4 : 0.6 }

        /// The name in A1111's lists and in image files.
        public var label: String {
            switch self {
            case .lanczos: "Lanczos"
            case .latent: "Latent"
            case .latentBicubic: "Latent (bicubic)"
            case .latentNearest: "Latent (nearest-exact)"
            }
        }
    }

    /// Columns and rows of pixels of the result.
    public var size: PixelSize
    /// How the image is enlarged.
    public var upscaler = Upscaler.lanczos
    /// Noise level of the second pass as a share of the schedule, above 0 and at most 1.
    public var strength: Double
    /// Steps that are run; `nil` is as many as in the first pass.
    public var steps: Int?
    /// The sampler; `nil` is the first pass's.
    public var sampler: Sampler?
    /// The schedule; `nil` is the first pass's.
    public var schedule: NoiseSchedule?
    /// The tiles that it is evaluated in; `nil` evaluates the whole image at once.
    public var tiles: Tiles?

    /// A second pass to a size.
    public init(size: PixelSize, upscaler: Upscaler = .lanczos, strength: Double? = nil) {
        self.size = size
        self.upscaler = upscaler
        self.strength = strength ?? upscaler.standardStrength
    }
}

extension SecondPass {
    /// A second pass that a client states; `nil` stands for a default.
    public struct Draft: Sendable, Equatable {
        /// Times that both sides are enlarged; 2 without a size either.
        public var factor: Double?
        /// Columns; 0 or `nil` keeps the aspect ratio of the first pass.
        public var width: Int?
        /// Rows; 0 or `nil` keeps the aspect ratio of the first pass.
        public var height: Int?
        /// How the image is enlarged.
        public var upscaler: Upscaler?
        /// Noise level as a share of the schedule.
        public var strength: Double?
        /// Steps that are run; 0 or `nil` is as many as in the first pass.
        public var steps: Int?
        /// The sampler.
        public var sampler: Sampler?
        /// The schedule.
        public var schedule: NoiseSchedule?
        /// Columns and rows of tiles; 0 or `nil` evaluates the whole image at once.
        public var tileSide: Int?
        /// Pixels that tiles share; `nil` is an eighth of their side.
        public var tileOverlap: Int?

        /// Twice as large.
        public init() {}
    }

    /// Fills the gaps of a draft for a first pass of the given size; sides are rounded to multiples of `unit`.
    init(_ draft: Draft, from first: PixelSize, unit: Int) throws(RequestError) {
        let factor = draft.factor ?? 2
        guard factor > 0, factor <= 16 else {
            throw RequestError(
                field: "hires.factor",
                message: "hires.factor must be above 0 and at most 16, got \(factor).")
        }
        let stated = (width: draft.width ?? 0, height: draft.height ?? 0)
        let (width, height) = (Double(first.width), Double(first.height))
        let wanted =
            switch (stated.width > 0, stated.height > 0) {
            case (true, true): (Double(stated.width), Double(stated.height))
            case (true, false): (Double(stated.width), Double(stated.width) * height / width)
            case (false, true): (Double(stated.height) * width / height, Double(stated.height))
            case (false, false): (width * factor, height * factor)
            }
        func side(_ length: Double) -> Int {
            // Far above every limit, which the check of the size names.
            let units = min(length / Double(unit), 1e9).rounded()
            return max(1, Int(units)) * unit
        }
        self.init(
            size: PixelSize(width: side(wanted.0), height: side(wanted.1)),
            upscaler: draft.upscaler ?? .lanczos, strength: draft.strength)
        steps = draft.steps == 0 ? nil : draft.steps
        sampler = draft.sampler
        schedule = draft.schedule
        if let side = draft.tileSide, side != 0 {
            tiles = Tiles(side: side, overlap: draft.tileOverlap, unit: unit)
        }
    }
}

extension SamplingParameters {
    /// The sampler and the levels of the second pass: as many steps as stated, on the end of a longer schedule.
    package func method(of pass: SecondPass) -> SamplingMethod {
        var method = sampling
        method.sampler = pass.sampler ?? method.sampler
        method.schedule = pass.schedule ?? method.schedule
        method.sigmas = nil
        method.strengthRule = .exactSteps
        return method
    }

    /// Evaluations of the second pass, if there is one; each tile is one.
    package var laterEvaluations: Int {
        guard let secondPass else { return 0 }
        return secondPass.grid.count
            * method(of: secondPass).evaluations(
                steps: secondPass.steps ?? steps, strength: secondPass.strength)
    }

    /// Columns and rows of the finished image.
    public var outputSize: PixelSize { secondPass?.size ?? size }

    /// Pixels times evaluations for one image that starts from another one with a strength, or from noise.
    public func work(strength: Double?) -> Double {
        func pixels(_ size: PixelSize) -> Double { Double(size.width * size.height) }
        let first = sampling.evaluations(steps: steps, strength: strength)
        let later = secondPass?.grid.tile ?? size
        return pixels(size) * Double(first) + pixels(later) * Double(laterEvaluations)
    }

    func check(_ pass: SecondPass, _ limits: ModelLimits) throws(RequestError) {
        for (field, side, limit) in [
            ("hires.width", pass.size.width, pass.largestSide(limits.maximumWidth)),
            ("hires.height", pass.size.height, pass.largestSide(limits.maximumHeight)),
        ] where !(limits.sizeMultiple...limit).contains(side) {
            throw RequestError(
                field: field,
                message:
                    "\(field) must be between \(limits.sizeMultiple) and \(limit), got \(side)"
                    + (pass.tiles == nil ? "; hires.tiles allow more." : "."))
        }
        try pass.checkTiles(limits)
        guard pass.tiles == nil || sampling.cacheThreshold == nil else {
            throw RequestError(
                field: "step_cache", message: "step_cache does not work with hires.tiles.")
        }
        guard pass.strength > 0, pass.strength <= 1 else {
            throw RequestError(
                field: "hires.strength",
                message: "hires.strength must be above 0 and at most 1, got \(pass.strength).")
        }
        let steps = pass.steps ?? steps
        try RequestError.check(steps, "hires.steps", in: 1...limits.maximumSteps)
        do {
            try method(of: pass).check(steps: steps, strength: pass.strength)
        } catch {
            throw RequestError(field: "hires.\(error.field)", message: "hires.\(error.message)")
        }
    }
}
