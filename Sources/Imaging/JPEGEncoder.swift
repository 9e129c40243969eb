// Part of Inkstone. Licence: see LICENSE.

import CTurboJPEG

/// Encodes baseline JPEG files with libjpeg-turbo.
enum JPEGEncoder {
    /// Maximum number of bytes of a marker segment after its length.
    static let maximumSegment = 65_533

    /// Encodes an image with its generation parameters as Exif user comment.
    ///
    /// - Throws: `ImagingError.metadataTooLarge` when the comment exceeds 64 KiB,
    ///   `encodingFailed` when the library fails.
    static func encode(
        _ image: RGBImage,
        quality: Int,
        metadata: ImageMetadata
    ) throws(ImagingError) -> [UInt8] {
        guard let handle = tjInitCompress() else {
            throw ImagingError(.encodingFailed, "The JPEG encoder could not allocate memory.")
        }
        defer { tjDestroy(handle) }
        let subsampling = quality >= 90 ? TJSAMP_444 : TJSAMP_420
        var buffer: UnsafeMutablePointer<UInt8>?
        var length: UInt = 0
        let status = image.pixels.withUnsafeBufferPointer { pixels in
            tjCompress2(
                handle,
                pixels.baseAddress,
                Int32(image.width),
                Int32(3 * image.width),
                Int32(image.height),
                Int32(TJPF_RGB.rawValue),
                &buffer,
                &length,
                Int32(subsampling.rawValue),
                Int32(quality),
                TJFLAG_ACCURATEDCT
            )
        }
        defer { tjFree(buffer) }
        guard status == 0, let buffer else {
            let reason = tjGetErrorStr2(handle).map { String(cString: $0) } ?? "unknown error"
            throw ImagingError(.encodingFailed, "The JPEG encoder failed: \(reason).")
        }
        let file = Array(UnsafeBufferPointer(start: buffer, count: Int(length)))
        guard let comment = metadata.parameters else { return file }
        return try insert(ExifBlock(userComment: comment), into: file)
    }

    /// Inserts the Exif segment after the JFIF segment, which must be the first.
    private static func insert(
        _ exif: ExifBlock,
        into file: [UInt8]
    ) throws(ImagingError) -> [UInt8] {
        let payload = ExifBlock.prefix + exif.serialized()
        guard payload.count <= maximumSegment else {
            throw ImagingError(
                .metadataTooLarge,
                "The generation parameters need \(payload.count) bytes; a JPEG file can store at "
                    + "most \(maximumSegment).",
                remedy: "Write PNG, or shorten the prompt."
            )
        }
        var position = 2
        if file.count > 6, file[2] == 0xFF, file[3] == 0xE0 {
            position = 4 + Int(file[4]) << 8 + Int(file[5])
        }
        let size = payload.count + 2
        let head: [UInt8] = [0xFF, 0xE1, UInt8(size >> 8), UInt8(size & 0xFF)]
        return Array(file[..<position]) + head + payload + file[position...]
    }
}
