// Part of Inkstone. Licence: see LICENSE.

import Catalog
import Engine
import Foundation
import HTTPTypes
import Imaging
import ModelFiles
import Parameters

extension ImageRequest.Draft {
    /// Reads the fields of `txt2img` and `img2img`; absent fields have the model's defaults.
    ///
    /// Images of a call: `batch_size` times `n_iter`. Fields that apply to other samplers or models only are
    /// ignored; unsupported fields that would change the image are refused.
    ///
    /// - Throws: `APIError` that names the field.
    init(
        a1111 fields: RequestFields, registry: LoRARegistry, isImageToImage: Bool = false
    ) throws(APIError) {
        let prompt = try PromptLoRAs(try fields.text("prompt") ?? "")
        try UnsupportedField.checkA1111(fields, isImageToImage: isImageToImage)
        do throws(APIError) {
            self.init(try SamplingParameters.Draft(prompt: prompt.text, fields))
        } catch { throw error.inA1111Words }
        if !isImageToImage {
            parameters.secondPass = try SecondPass.Draft(a1111: fields) ?? parameters.secondPass
        }
        parameters.loras =
            try registry.choices(prompt.names) + (try fields.loras(of: registry) ?? [])
        priority = try Self.priority(fields)
        embedsParameters = try fields.bool("embed_parameters")
        if case .object(let settings)? = fields.first("override_settings")?.value {
            embedsParameters =
                try RequestFields(settings, dialect: .pydantic).bool("enable_pnginfo")
                ?? embedsParameters
        }
        let batch = try fields.integer("batch_size") ?? 1
        let repeats = try fields.integer("n_iter") ?? 1
        let (total, overflow) = batch.multipliedReportingOverflow(by: repeats)
        count = overflow || batch < 1 || repeats < 1 ? 0 : Int(clamping: total)
    }
}

extension APIError {
    /// The error about a sampler as this dialect words it.
    fileprivate var inA1111Words: APIError {
        let subjects = [
            "sampler": "Sampler", "sampler_name": "Sampler", "sampler_index": "Sampler",
            "scheduler": "Scheduler",
        ]
        guard code == "invalid_value", let subject = subjects[parameter ?? ""] else { return self }
        return APIError(
            .badRequest, code: Self.unknownSampler, parameter: parameter,
            "\(subject) not found: \(message)")
    }

    /// The code of an unknown sampler or schedule, which this dialect answers with status 400.
    static let unknownSampler = "sampler_not_found"
}

/// The source image of an `img2img` call.
enum A1111Source {
    /// Applies `resize_mode` to an image: 0 stretches it, 1 crops it to the requested aspect ratio.
    static func fit(
        _ image: DecodedImage, _ size: PixelSize, mode: Int64
    ) throws(APIError) -> RGBImage {
        guard mode == 0 || mode == 1 else {
            throw .invalid(
                "resize_mode", "resize_mode must be 0 (stretch) or 1 (crop) here, got \(mode).")
        }
        guard mode == 1 else { return image.flattened() }
        let (w, h) = (image.image.width, image.image.height)
        let wanted = Double(size.width) / Double(size.height)
        let (cutWidth, cutHeight) =
            Double(w) / Double(h) > wanted
            ? (max(1, Int(Double(h) * wanted)), h) : (w, max(1, Int(Double(w) / wanted)))
        do {
            return try image.cropped(
                x: (w - cutWidth) / 2, y: (h - cutHeight) / 2, width: cutWidth, height: cutHeight
            ).flattened()
        } catch {
            throw .invalid("init_images", error.description)
        }
    }
}

extension DecodedImage {
    /// The opacity in black and white; the image itself if it is opaque.
    var binaryOpacity: DecodedImage {
        guard let opacity else { return self }
        let pixels = opacity.pixels.map { UInt8($0 > 128 ? 255 : 0) }
        let mask = try? RGBImage(width: opacity.width, height: opacity.height, pixels: pixels)
        return mask.flatMap { try? DecodedImage(image: $0, format: format) } ?? self
    }
}
