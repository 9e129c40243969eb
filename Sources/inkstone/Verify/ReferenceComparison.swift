// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Imaging
import ModelFiles
import Tensors
import ZImage

/// An image of the engine compared with the same image of the reference, tensor by tensor.
struct ReferenceComparison: Encodable {
    /// One tensor.
    struct Row {
        let name: String
        /// The largest difference relative to the largest magnitude of the reference; `nil` where the engine
        /// has no such tensor or one of another size.
        let error: Double?
        /// The largest error that is accepted; `nil` where rounding alone may change everything.
        let limit: Double?

        var isGood: Bool {
            guard let limit else { return error != nil }
            return (error ?? .infinity) <= limit
        }
    }

    let tensors: [Row]
    /// Peak signal-to-noise ratio of the pixels in dB; `nil` for equal images.
    let psnr: Double?
    /// The smallest ratio that is accepted.
    let leastPSNR: Double

    /// What is wrong, a sentence each.
    var faults: [String] {
        var texts = tensors.filter { !$0.isGood }.map { row in
            row.error.map {
                "\(row.name) differs by \(Self.text($0)) of its largest value, expected at most"
                    + " \(Self.text(row.limit ?? 0))"
            } ?? "\(row.name) is missing, or has another size"
        }
        if let psnr, psnr < leastPSNR {
            texts.append(
                "the image has a PSNR of \(Self.text(psnr)) dB, expected at least"
                    + " \(Self.text(leastPSNR))")
        }
        return texts
    }

    /// Compares everything that the reference has of an image.
    ///
    /// Until the first output of the transformer, errors are those of the precision. After it a model may amplify
    /// them: only two runs in f32 must agree in all tensors.
    ///
    /// - Throws: `CheckpointError` of the reference's file, `ImagingError`.
    init(
        of image: GeneratedImage, _ trace: Trace, with reference: ReferenceTensors,
        named name: String, precision: Precision
    ) throws {
        let isExact = precision == .f32 && reference.precision == "float32"
        let limit =
            switch precision {
            case .f32: isExact ? 1e-3 : 5e-2
            case .bf16: 5e-2
            case .int8: 2e-1
            }
        tensors = try reference.names(of: name).filter { $0 != "rgb8" }.map { tensor in
            let expected = try reference.numbers(name, tensor)
            let isEarly = tensor.hasSuffix("text_features") || tensor == "transformer_out.0"
            let rowLimit: Double? =
                if tensor.hasSuffix("input_ids") {
                    0
                } else if ["latents.init", "sigmas"].contains(tensor) {
                    1e-5
                } else {
                    isExact || isEarly ? limit : nil
                }
            let found = trace.tensors[tensor].map(Self.numbers)
            return Row(name: tensor, error: Self.error(found, expected), limit: rowLimit)
        }
        leastPSNR = isExact ? 40 : 20
        let pixels = try reference.numbers(name, "rgb8").map { UInt8(clamping: Int($0)) }
        guard pixels.count == image.image.pixels.count else {
            psnr = 0
            return
        }
        let ratio = try Imaging.psnr(
            RGBImage(width: image.image.width, height: image.image.height, pixels: pixels),
            image.image)
        psnr = ratio.isFinite ? ratio : nil
    }

    private static func numbers(_ tensor: Trace.Tensor) -> [Float] {
        switch tensor {
        case .f32(let numbers, _): numbers
        case .i32(let numbers, _): numbers.map(Float.init)
        case .u8(let numbers, _): numbers.map(Float.init)
        }
    }

    private static func error(_ found: [Float]?, _ expected: [Float]) -> Double? {
        guard let found, found.count == expected.count else { return nil }
        let (difference, scale) = zip(found, expected).reduce((Float(0), Float(1e-12))) {
            // A number that is not one must not be lost in the maximum.
            let distance = ($1.0 - $1.1).magnitude
            return (distance.isNaN ? .infinity : max($0.0, distance), max($0.1, $1.1.magnitude))
        }
        return Double(difference) / Double(scale)
    }

    /// Two digits.
    static func text(_ number: Double) -> String { String(format: "%.2g", number) }

    private enum CodingKeys: CodingKey {
        case errors, psnr
    }

    /// Writes the errors by tensor, in three digits: a report must fit into a message.
    func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        let errors = tensors.compactMap { row in row.error.map { (row.name, Self.short($0)) } }
        try fields.encode(Dictionary(uniqueKeysWithValues: errors), forKey: .errors)
        try fields.encodeIfPresent(psnr.map(Self.short), forKey: .psnr)
    }

    /// The number with three digits; infinity, which JSON has not, is the largest one.
    private static func short(_ number: Double) -> Double {
        guard number.isFinite else { return .greatestFiniteMagnitude }
        return Double(String(format: "%.3g", number)) ?? number
    }
}
