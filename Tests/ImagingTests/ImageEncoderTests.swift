// Part of Inkstone. Licence: see LICENSE.

import Imaging
import Testing

@Suite struct ImageEncoderTests {
    static let texts = [
        "plain", "two\nlines, é ÿ", "墨水石 🖌", "odd \u{1} control",
        String(repeating: "long prompt ", count: 2000),
    ]

    @Test("PNG keeps every pixel and text at every level", arguments: 0...9)
    func pngRoundTrip(level: Int) throws {
        let image = try makePicture(width: 61, height: 37)
        var metadata = ImageMetadata()
        for (index, text) in Self.texts.enumerated() { metadata["key \(index)"] = text }
        let bytes = try ImageEncoder.encode(
            image,
            as: .png(compressionLevel: level),
            metadata: metadata
        )
        let decoded = try ImageDecoder.decode(bytes)
        #expect(decoded.image == image)
        #expect(decoded.alpha == nil)
        #expect(decoded.metadata == metadata)
        #expect(decoded.format == .png)
    }

    @Test(
        "PNG text is tEXt where Latin-1 can say it and iTXt where not",
        arguments: [("é\n", "tEXt"), ("é墨", "iTXt"), ("\u{80}", "iTXt")]
    )
    func pngTextKinds(text: String, kind: String) throws {
        let image = try makePicture(width: 4, height: 4)
        let bytes = try ImageEncoder.encode(image, metadata: ImageMetadata(parameters: text))
        let start = try #require(position(of: Array(kind.utf8), in: bytes))
        let data = try #require(position(of: Array("IDAT".utf8), in: bytes))
        #expect(start < data)
        #expect(try ImageDecoder.decode(bytes).metadata.parameters == text)
    }

    @Test(
        "an empty text is left out",
        arguments: [ImageEncoding.png(), .jpeg(), .webp(), .webpLossless()]
    )
    func leavesOutEmptyTexts(encoding: ImageEncoding) throws {
        let image = try makePicture(width: 4, height: 4)
        let bytes = try ImageEncoder.encode(
            image,
            as: encoding,
            metadata: ImageMetadata(parameters: "")
        )
        #expect(bytes == (try ImageEncoder.encode(image, as: encoding)))
    }

    @Test("NUL, which no PNG text can hold, becomes a replacement character")
    func pngReplacesNUL() throws {
        let image = try makePicture(width: 4, height: 4)
        let bytes = try ImageEncoder.encode(image, metadata: ImageMetadata(parameters: "a\0b"))
        #expect(try ImageDecoder.decode(bytes).metadata.parameters == "a\u{FFFD}b")
    }

    @Test(
        "a key that PNG cannot hold is refused",
        arguments: ["", "墨", String(repeating: "k", count: 80)]
    )
    func pngRefusesKeys(key: String) throws {
        let image = try makePicture(width: 4, height: 4)
        let error = #expect(throws: ImagingError.self) {
            try ImageEncoder.encode(
                image,
                metadata: ImageMetadata(entries: [.init(key: key, text: "x")])
            )
        }
        #expect(error?.message.contains("1 to 79 Latin-1 characters") == true)
    }

    @Test(
        "JPEG and WebP keep the parameters in the Exif user comment",
        arguments: [ImageEncoding.jpeg(), .webp(), .webpLossless()],
        texts
    )
    func userCommentRoundTrip(encoding: ImageEncoding, text: String) throws {
        let image = try makePicture(width: 33, height: 20)
        let bytes = try ImageEncoder.encode(
            image,
            as: encoding,
            metadata: ImageMetadata(parameters: text)
        )
        let decoded = try ImageDecoder.decode(bytes)
        #expect(decoded.metadata.parameters == text)
        #expect(decoded.format == encoding.format)
        let code = try #require(position(of: Array("UNICODE\0".utf8), in: bytes))
        if let unit = text.utf16.first {
            #expect(bytes[code + 8] == UInt8(unit >> 8))
            #expect(bytes[code + 9] == UInt8(unit & 0xFF))
        }
    }

    @Test(
        "a picture without texts has no Exif block",
        arguments: [ImageEncoding.jpeg(), .webp(), .webpLossless()]
    )
    func noMetadata(encoding: ImageEncoding) throws {
        let bytes = try ImageEncoder.encode(makePicture(width: 33, height: 20), as: encoding)
        #expect(position(of: Array("UNICODE".utf8), in: bytes) == nil)
        #expect(try ImageDecoder.decode(bytes).metadata == ImageMetadata())
    }

    @Test("WebP without loss keeps every pixel", arguments: [0, 3, 9])
    func losslessWebP(effort: Int) throws {
        let image = try makePicture(width: 50, height: 31)
        let bytes = try ImageEncoder.encode(image, as: .webpLossless(effort: effort))
        #expect(try ImageDecoder.decode(bytes).image == image)
    }

    @Test(
        "more quality is more bytes and less loss",
        arguments: [ImageFormat.jpeg, .webp]
    )
    func qualityIsMonotonic(format: ImageFormat) throws {
        let image = try makePicture(width: 96, height: 64)
        var lastSize = 0
        var lastRatio = 0.0
        for quality in [1, 30, 60, 89, 90, 100] {
            let bytes = try ImageEncoder.encode(
                image,
                as: ImageEncoding(format: format, quality: quality)
            )
            let ratio = try psnr(image, ImageDecoder.decode(bytes).image)
            #expect(bytes.count > lastSize, "quality \(quality)")
            #expect(ratio > lastRatio, "quality \(quality)")
            lastSize = bytes.count
            lastRatio = ratio
        }
        #expect(lastRatio > 35)
    }

    @Test("JPEG samples colour fully from quality 90 on", arguments: [(89, 0x22), (90, 0x11)])
    func subsampling(quality: Int, factors: UInt8) throws {
        let bytes = try ImageEncoder.encode(
            makePicture(width: 32, height: 32),
            as: .jpeg(quality: quality)
        )
        let frame = try #require(position(of: [0xFF, 0xC0], in: bytes))
        #expect(bytes[frame + 11] == factors)
    }

    @Test(
        "the same picture gives the same bytes",
        arguments: [ImageEncoding.png(), .jpeg(), .webp(), .webpLossless()]
    )
    func isDeterministic(encoding: ImageEncoding) throws {
        let image = try makePicture(width: 70, height: 41)
        let metadata = ImageMetadata(parameters: "墨 Steps: 8")
        let first = try ImageEncoder.encode(image, as: encoding, metadata: metadata)
        for _ in 0..<3 {
            #expect(try ImageEncoder.encode(image, as: encoding, metadata: metadata) == first)
        }
    }

    @Test(
        "the smallest picture fits every format",
        arguments: [ImageEncoding.png(), .jpeg(), .webp(), .webpLossless()]
    )
    func onePixel(encoding: ImageEncoding) throws {
        let image = try RGBImage(width: 1, height: 1, filledWith: (128, 128, 128))
        let decoded = try ImageDecoder.decode(ImageEncoder.encode(image, as: encoding))
        #expect(ImagingFixtures.worst(decoded.image.pixels, image.pixels) <= 2)
    }

    @Test(
        "settings out of range are refused",
        arguments: [
            ImageEncoding.png(compressionLevel: 10), .png(compressionLevel: -1),
            .jpeg(quality: 0), .jpeg(quality: 101), .webp(quality: 0), .webpLossless(effort: 10),
        ]
    )
    func refusesSettings(encoding: ImageEncoding) throws {
        let image = try makePicture(width: 4, height: 4)
        let error = #expect(throws: ImagingError.self) {
            try ImageEncoder.encode(image, as: encoding)
        }
        #expect(error?.code == .invalidArgument)
    }

    @Test("a side that the format cannot hold is refused")
    func refusesLongSides() throws {
        let image = try RGBImage(width: 16_384, height: 1, filledWith: (0, 0, 0))
        let error = #expect(throws: ImagingError.self) {
            try ImageEncoder.encode(image, as: .webp())
        }
        #expect(error?.code == .tooLarge)
        #expect(throws: Never.self) { try ImageEncoder.encode(image, as: .jpeg()) }
    }

    @Test("parameters that no JPEG segment holds are refused, PNG and WebP take them")
    func refusesLongComments() throws {
        let image = try makePicture(width: 8, height: 8)
        let metadata = ImageMetadata(parameters: String(repeating: "墨", count: 33_000))
        let error = #expect(throws: ImagingError.self) {
            try ImageEncoder.encode(image, as: .jpeg(), metadata: metadata)
        }
        #expect(error?.code == .metadataTooLarge)
        for encoding in [ImageEncoding.png(), .webp()] {
            let bytes = try ImageEncoder.encode(image, as: encoding, metadata: metadata)
            #expect(try ImageDecoder.decode(bytes).metadata == metadata)
        }
    }

    @Test("the longest text that a format states fits, and no longer one")
    func longestText() throws {
        let image = try makePicture(width: 8, height: 8)
        let units = ImageFormat.jpeg.maximumParametersUnits
        let longest = ImageMetadata(parameters: String(repeating: "x", count: units))
        let bytes = try ImageEncoder.encode(image, as: .jpeg(), metadata: longest)
        #expect(try ImageDecoder.decode(bytes).metadata == longest)
        let longer = ImageMetadata(parameters: String(repeating: "x", count: units + 1))
        #expect(throws: ImagingError.self) {
            try ImageEncoder.encode(image, as: .jpeg(), metadata: longer)
        }
    }

    private func position(of pattern: [UInt8], in bytes: [UInt8]) -> Int? {
        bytes.indices.first { bytes[$0...].starts(with: pattern) }
    }
}
