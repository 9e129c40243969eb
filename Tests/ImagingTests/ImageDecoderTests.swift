// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Imaging
import Testing

@Suite struct ImageDecoderTests {
    @Test("the fixtures are there")
    func fixturesAreThere() {
        #expect(ImagingFixtures.expected.decode.count == 37)
        #expect(ImagingFixtures.expected.resize.count == 8)
        #expect(ImagingFixtures.expected.similarity.count == 2)
    }

    @Test(
        "every kind of file is seen as another decoder sees it",
        arguments: ImagingFixtures.expected.decode
    )
    func decodesLikeAnother(expected: ImagingFixtures.Decode) throws {
        let decoded = try ImageDecoder.decode(ImagingFixtures.bytes(expected.file))
        #expect(decoded.image.width == expected.width)
        #expect(decoded.image.height == expected.height)
        #expect(
            ImagingFixtures.worst(decoded.image.pixels, expected.rgb) <= expected.tolerance
        )
        #expect((decoded.alpha == nil) == (expected.alpha == nil))
        if let alpha = decoded.alpha, let expectedAlpha = expected.alpha {
            #expect(ImagingFixtures.worst(alpha, expectedAlpha) == 0)
        }
        #expect(decoded.metadata.parameters == expected.parameters)
        #expect(decoded.format == ImageFormat(path: expected.file))
    }

    @Test("both texts of a file are read, also the compressed ones")
    func readsCompressedTexts() throws {
        let decoded = try ImageDecoder.decode(ImagingFixtures.bytes("text-compressed.png"))
        #expect(decoded.metadata["other"] == String(repeating: "also long ", count: 50))
    }

    @Test(
        "what is not a picture is refused in words",
        arguments: [
            ("bad-animation.webp", ImagingError.Code.unsupported, "animation"),
            ("bad-lying-size.png", .truncated, "7000x7000 pixels, which a file of 428 bytes"),
            ("bad-palette-missing.png", .corrupt, "The PNG file is damaged"),
            ("bad-text-bomb.png", .tooLarge, "more metadata than is allowed"),
        ]
    )
    func refusesBadFiles(file: String, code: ImagingError.Code, words: String) throws {
        let bytes = try ImagingFixtures.bytes(file)
        let error = #expect(throws: ImagingError.self) { try ImageDecoder.decode(bytes) }
        #expect(error?.code == code)
        #expect(error?.description.contains(words) == true)
        #expect(error?.remedy != nil)
    }

    @Test("bytes of no known format are named")
    func refusesUnknownBytes() {
        #expect {
            try ImageDecoder.decode(Array("GIF89a, say".utf8))
        } throws: { error in
            "\(error)"
                == "Expected a PNG, JPEG or WebP image, found 11 bytes that begin with "
                + "47 49 46 38 39 61 2c 20. Convert the image to one of these formats."
        }
        #expect {
            try ImageDecoder.decode([])
        } throws: { error in
            "\(error)".contains("found an empty file")
        }
    }

    @Test("the pixel limit is checked in every format", arguments: ImageFormat.allCases)
    func checksPixelLimit(format: ImageFormat) throws {
        let image = try makePicture(width: 40, height: 30)
        let bytes = try ImageEncoder.encode(image, as: ImageEncoding(format: format))
        #expect(throws: Never.self) {
            try ImageDecoder.decode(bytes, limits: ImageLimits(maximumPixels: 1200))
        }
        let error = #expect(throws: ImagingError.self) {
            try ImageDecoder.decode(bytes, limits: ImageLimits(maximumPixels: 1199))
        }
        #expect(error?.code == .tooLarge)
        #expect(error?.message.contains("40x30 pixels, expected at most 1199") == true)
    }

    @Test(
        "a file cut short anywhere is refused",
        arguments: [
            "rgb8.png", "interlaced.png", "text-utf8.png", "baseline-420.jpg", "progressive.jpg",
            "cmyk.jpg", "lossy.webp", "lossless.webp", "lossy-alpha.webp",
        ]
    )
    func refusesTruncatedFiles(file: String) throws {
        let bytes = try ImagingFixtures.bytes(file)
        for length in 0..<bytes.count {
            // The last bytes say nothing: an empty chunk, half of an end marker.
            let spare = file.hasSuffix("png") ? 12 : file.hasSuffix("jpg") ? 1 : 0
            if length >= bytes.count - spare { continue }
            #expect(throws: ImagingError.self, "\(length) bytes") {
                try ImageDecoder.decode(Array(bytes[..<length]))
            }
        }
    }

    @Test(
        "a PNG file without its end chunk is whole",
        arguments: ["rgb8.png", "interlaced.png", "text-utf8.png"])
    func acceptsMissingEnd(file: String) throws {
        let bytes = try ImagingFixtures.bytes(file)
        let whole = try ImageDecoder.decode(bytes)
        for missing in 1...12 {
            #expect(try ImageDecoder.decode(Array(bytes.dropLast(missing))) == whole)
        }
    }

    @Test("bytes between the segments of a JPEG file are harmless, missing ones are not")
    func toleratesPadding() throws {
        let bytes = try ImagingFixtures.bytes("baseline-420.jpg")
        let whole = try ImageDecoder.decode(bytes)
        for padding: [UInt8] in [[0], [0x12, 0x34], .init(repeating: 7, count: 200)] {
            let padded = bytes.dropLast(2) + padding + bytes.suffix(2)
            #expect(try ImageDecoder.decode(Array(padded)) == whole)
            // Behind the end marker, as some phones write.
            #expect(try ImageDecoder.decode(bytes + padding) == whole)
            // More of them would be read as what is missing.
            let cut = bytes.dropLast(240) + padding.prefix(2) + bytes.suffix(2)
            #expect(throws: ImagingError.self) { try ImageDecoder.decode(Array(cut)) }
        }
    }

    @Test(
        "an image of too many pixels is made smaller",
        arguments: [(40, 30, 1200, 40, 30), (40, 30, 300, 20, 15), (400, 3, 300, 200, 1)])
    func reduces(width: Int, height: Int, most: Int, newWidth: Int, newHeight: Int) throws {
        let bytes = try ImageEncoder.encode(try makePicture(width: width, height: height))
        let image = try ImageDecoder.decode(bytes, limits: .standard, reducingTo: most).image
        #expect(image.width == newWidth && image.height == newHeight)
    }

    @Test(
        "damaged files give pictures or this module's errors, nothing else",
        arguments: ImagingFixtures.expected.decode.map(\.file)
    )
    func survivesDamage(file: String) throws {
        let bytes = try ImagingFixtures.bytes(file)
        var generator = SplitMix64(state: 0x5EED)
        for _ in 0..<60 {
            var damaged = bytes
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                let place = Int.random(in: 0..<damaged.count, using: &generator)
                damaged[place] = UInt8.random(in: 0...255, using: &generator)
            }
            do throws(ImagingError) {
                let decoded = try ImageDecoder.decode(
                    damaged,
                    limits: ImageLimits(maximumPixels: 1 << 20)
                )
                #expect(
                    decoded.image.pixels.count == 3 * decoded.image.width * decoded.image.height
                )
            } catch {
                #expect(!error.message.isEmpty && !error.message.contains("\n"))
            }
        }
    }

    @Test("transparent pixels are blended over a colour")
    func flattens() throws {
        let image = try RGBImage(width: 3, height: 1, pixels: [200, 0, 0, 200, 0, 0, 200, 0, 0])
        let decoded = try DecodedImage(image: image, alpha: [255, 0, 51], format: .png)
        let flat = decoded.flattened(onto: (100, 50, 255))
        #expect(flat.pixels == [200, 0, 0, 100, 50, 255, 120, 40, 204])
    }
}
