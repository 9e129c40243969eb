// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Imaging

/// Encodes images as files.
enum ImageFile {
    /// An image file, without metadata unless given.
    static func encode(
        _ image: RGBImage, as format: ImageFormat, quality: Int, metadata: ImageMetadata = .init()
    ) throws -> [UInt8] {
        try ImageEncoder.encode(
            image, as: ImageEncoding(format: format, quality: quality), metadata: metadata)
    }

    /// A small image as a data URL.
    static func dataURL(_ image: RGBImage) throws -> String {
        // Below this size PNG is the smaller of the two and has no blocks to show when enlarged.
        let format: ImageFormat = image.width * image.height <= 64 * 64 ? .png : .jpeg
        let file = try encode(image, as: format, quality: 85)
        return "data:\(format.mimeType);base64,\(Data(file).base64EncodedString())"
    }
}

extension ImageCall {
    /// A finished image as a file with its generation parameters.
    func file(
        for image: GeneratedImage, as format: ImageFormat, quality: Int
    ) throws -> [UInt8] {
        try image.file(
            as: ImageEncoding(format: format, quality: quality), of: request, model: model)
    }
}
