// Part of Inkstone. Licence: see LICENSE.

import Basics
import Engine
import Imaging
import ModelFiles
import Parameters

/// The size of a call.
///
/// This dialect's clients state multiples of 8. An image is made in the next multiple of what the model can make, and
/// cropped at the right and at the bottom.
struct A1111Size: Sendable {
    /// Multiple of this dialect's sizes.
    private static let unit = 8

    /// The size that the client asks for.
    let first: PixelSize
    /// The size in which the image is made.
    let made: PixelSize
    /// The size after a second pass, if there is one, that the client asks for.
    let output: PixelSize
    /// The size in which that image is made.
    let madeOutput: PixelSize

    /// Whether the images are cropped.
    var isCropped: Bool { output != madeOutput || first != made }

    /// Sets the sizes of a draft to what the model can make.
    ///
    /// - Throws: `APIError` for sides that are not multiples of 8.
    init(
        _ draft: inout ImageRequest.Draft, image: DecodedImage?, _ model: ModelDescription
    ) throws(APIError) {
        let limits = model.limits
        if let image, draft.width == nil, draft.height == nil {
            let size = PixelSize(fitting: image.image, in: limits)
            (draft.width, draft.height) = (size.width, size.height)
        }
        first = PixelSize(
            width: draft.width ?? model.defaults.size.width,
            height: draft.height ?? model.defaults.size.height)
        for (name, side, limit) in [
            ("width", first.width, limits.maximumWidth),
            ("height", first.height, limits.maximumHeight),
        ] where !side.isMultiple(of: Self.unit) || !(Self.unit...limit).contains(side) {
            throw .invalid(
                name,
                "\(name) must be a multiple of \(Self.unit) between \(Self.unit) and \(limit), got \(side)."
            )
        }
        made = Self.size(first, in: limits)
        (draft.width, draft.height) = (made.width, made.height)
        guard var pass = draft.secondPass else {
            (output, madeOutput) = (first, made)
            return
        }
        output = try Self.output(of: pass, from: first)
        madeOutput = Self.size(output, in: limits)
        (pass.factor, pass.width, pass.height) = (nil, madeOutput.width, madeOutput.height)
        draft.secondPass = pass
    }

    private static func size(_ size: PixelSize, in limits: ModelLimits) -> PixelSize {
        func side(_ length: Int) -> Int {
            (length + limits.sizeMultiple - 1) / limits.sizeMultiple * limits.sizeMultiple
        }
        return PixelSize(width: side(size.width), height: side(size.height))
    }

    /// The size after a second pass; that server rounds down to whole latents.
    private static func output(
        of pass: SecondPass.Draft, from first: PixelSize
    ) throws(APIError) -> PixelSize {
        let (width, height) = (Double(first.width), Double(first.height))
        let factor = pass.factor ?? 2
        let (w, h) = (Double(max(0, pass.width ?? 0)), Double(max(0, pass.height ?? 0)))
        guard w > 0 || h > 0 || (factor > 0 && factor <= 16) else {
            throw .invalid("hr_scale", "hr_scale must be above 0 and at most 16, got \(factor).")
        }
        let wanted: (Double, Double) =
            switch (w > 0, h > 0) {
            case (true, true): (w, h)
            case (true, false): (w, w * height / width)
            case (false, true): (h * width / height, h)
            case (false, false): (width * factor, height * factor)
            }
        func side(_ length: Double) -> Int {
            // Far above every limit, which the check of the size names.
            max(1, Int(min(max(0, length) / Double(unit), 1e9))) * unit
        }
        return PixelSize(width: side(wanted.0), height: side(wanted.1))
    }
}

/// What a call asks for.
struct A1111Wanted {
    /// The call as the model runs it.
    let call: ImageCall
    let size: A1111Size
    /// Whether it asks for the image that it starts from.
    let isUnchanged: Bool

    /// The call in the sizes that the client asks for, as the answer and the files have it.
    var shown: ImageCall {
        var parameters = call.request.parameters
        parameters.size = size.first
        parameters.secondPass?.size = size.output
        if isUnchanged { parameters.strength = 0 }
        return ImageCall(
            request: ImageRequest(
                parameters: parameters, count: call.request.count, priority: call.request.priority),
            model: call.model)
    }

    /// What the answer says about how the images were made.
    var remarks: [String: String] {
        var remarks: [String: String] = [:]
        if size.output != size.madeOutput {
            remarks["Generated size"] = "\(size.madeOutput), cropped"
        }
        if isUnchanged {
            remarks["Denoising strength 0"] =
                "nothing was sampled: this is the image that it starts from"
        }
        return remarks
    }
}

extension SamplingParameters.Draft {
    /// Raises a strength of less than one step to one, as that server does.
    ///
    /// - Parameters:
    ///   - model: the model, for the steps of a request that states none.
    ///   - isUnchanged: whether the request is not run, for which any strength will do.
    mutating func raiseStrength(for model: ModelDescription, isUnchanged: Bool) {
        guard let stated = strength, stated >= 0, sampling.sigmas == nil else { return }
        let steps = Double(max(1, self.steps ?? model.defaults.steps))
        guard !isUnchanged else {
            strength = 1
            return
        }
        guard sampling.strengthRule == SamplingMethod().strengthRule, stated * steps < 1 else {
            return
        }
        strength = (1 / steps) * steps < 1 ? (1 / steps).nextUp : 1 / steps
    }
}

extension ImageRequest.Source {
    /// The source with the last column and the last row of its images repeated up to a size.
    func extended(to size: PixelSize) throws(ImagingError) -> ImageRequest.Source {
        ImageRequest.Source(
            image: try image.extended(width: size.width, height: size.height),
            mask: try mask?.extended(width: size.width, height: size.height))
    }
}

extension GeneratedImage {
    /// The upper left part of the image.
    func cropped(to size: PixelSize) throws(ImagingError) -> GeneratedImage {
        let (width, height) = (min(image.width, size.width), min(image.height, size.height))
        guard width < image.width || height < image.height else { return self }
        var part = self
        part.image = try image.cropped(x: 0, y: 0, width: width, height: height)
        part.pixelDigest = SHA256.hexadecimal(part.image.pixels)
        // The file shows the whole image.
        part.png = nil
        return part
    }
}
