// Part of Inkstone. Licence: see LICENSE.

import CWebP

/// Encodes still WebP files with libwebp.
enum WebPEncoder {
    /// Lossy or lossless compression.
    enum Mode {
        /// Quality from 1 to 100.
        case lossy(Int)
        /// Effort from 0 to 9.
        case lossless(Int)
    }

    /// Encodes an image with its generation parameters as Exif user comment.
    ///
    /// - Throws: `ImagingError.encodingFailed` when the library fails.
    static func encode(
        _ image: RGBImage,
        mode: Mode,
        metadata: ImageMetadata
    ) throws(ImagingError) -> [UInt8] {
        let file = try encodePixels(image, config: makeConfig(mode))
        guard let comment = metadata.parameters else { return file }
        return try insert(ExifBlock(userComment: comment), into: file)
    }

    private static func makeConfig(_ mode: Mode) throws(ImagingError) -> WebPConfig {
        var config = WebPConfig()
        guard WebPConfigInit(&config) != 0 else {
            throw ImagingError(
                .encodingFailed,
                "The WebP library is not the version this program was built for.",
                remedy: "Install the libwebp that belongs to it."
            )
        }
        switch mode {
        case .lossy(let quality):
            config.quality = Float(quality)
        case .lossless(let effort):
            guard WebPConfigLosslessPreset(&config, Int32(effort)) != 0 else {
                throw ImagingError(.encodingFailed, "The WebP encoder rejected effort \(effort).")
            }
        }
        return config
    }

    private static func encodePixels(
        _ image: RGBImage,
        config: WebPConfig
    ) throws(ImagingError) -> [UInt8] {
        var config = config
        var picture = WebPPicture()
        guard WebPPictureInit(&picture) != 0 else {
            throw ImagingError(.encodingFailed, "The WebP encoder could not be configured.")
        }
        defer { WebPPictureFree(&picture) }
        picture.use_argb = config.lossless
        picture.width = Int32(image.width)
        picture.height = Int32(image.height)
        let imported = image.pixels.withUnsafeBufferPointer { pixels in
            WebPPictureImportRGB(&picture, pixels.baseAddress, Int32(3 * image.width))
        }
        guard imported != 0 else {
            throw ImagingError(.encodingFailed, "The WebP encoder could not allocate memory.")
        }
        var writer = WebPMemoryWriter()
        WebPMemoryWriterInit(&writer)
        defer { WebPMemoryWriterClear(&writer) }
        picture.writer = WebPMemoryWrite
        let encoded = withUnsafeMutablePointer(to: &writer) { pointer in
            picture.custom_ptr = UnsafeMutableRawPointer(pointer)
            return WebPEncode(&config, &picture)
        }
        guard encoded != 0 else {
            throw ImagingError(
                .encodingFailed,
                "The WebP encoder failed with code \(picture.error_code.rawValue)."
            )
        }
        return Array(UnsafeBufferPointer(start: writer.mem, count: writer.size))
    }

    /// Adds an EXIF chunk, with the extended header that it requires.
    private static func insert(
        _ exif: ExifBlock,
        into file: [UInt8]
    ) throws(ImagingError) -> [UInt8] {
        let block = exif.serialized()
        var output = WebPData()
        let status: WebPMuxError = file.withUnsafeBufferPointer { file in
            block.withUnsafeBufferPointer { block in
                var bitstream = WebPData(bytes: file.baseAddress, size: file.count)
                var chunk = WebPData(bytes: block.baseAddress, size: block.count)
                // Not copied: both arrays outlive the container.
                guard let mux = WebPMuxCreate(&bitstream, 0) else { return WEBP_MUX_MEMORY_ERROR }
                defer { WebPMuxDelete(mux) }
                let set = WebPMuxSetChunk(mux, "EXIF", &chunk, 0)
                return set == WEBP_MUX_OK ? WebPMuxAssemble(mux, &output) : set
            }
        }
        defer { WebPDataClear(&output) }
        guard status == WEBP_MUX_OK else {
            throw ImagingError(
                .encodingFailed,
                "The WebP container failed with code \(status.rawValue)."
            )
        }
        return Array(UnsafeBufferPointer(start: output.bytes, count: output.size))
    }
}
