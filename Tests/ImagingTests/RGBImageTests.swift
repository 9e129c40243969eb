// Part of Inkstone. Licence: see LICENSE.

import Imaging
import Testing

@Suite struct RGBImageTests {
    @Test("an image is extended by its last column and row")
    func extended() throws {
        let image = try RGBImage(
            width: 2, height: 2, pixels: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
        let larger = try image.extended(width: 4, height: 3)
        #expect(try larger.cropped(x: 0, y: 0, width: 2, height: 2) == image)
        #expect(larger.pixels.suffix(12) == [7, 8, 9, 10, 11, 12, 10, 11, 12, 10, 11, 12])
        #expect(larger.pixels[6..<12] == [4, 5, 6, 4, 5, 6])
        #expect(try image.extended(width: 2, height: 2) == image)
        #expect(throws: ImagingError.self) { try image.extended(width: 1, height: 2) }
    }

    @Test("a wrong number of bytes is refused in words")
    func refusesWrongCount() {
        let error = #expect(throws: ImagingError.self) {
            try RGBImage(width: 2, height: 2, pixels: [1, 2, 3])
        }
        #expect(
            error?.description
                == "An RGB image of 2x2 needs 12 bytes, found 3. "
                + "Pass red, green and blue of every pixel."
        )
    }

    @Test(
        "sizes that no memory holds are refused",
        arguments: [(0, 1), (1, 0), (-1, 5), (Int.max, Int.max), (1 << 20, 1 << 20)]
    )
    func refusesSizes(width: Int, height: Int) throws {
        let image = try RGBImage(width: 2, height: 2, filledWith: (1, 2, 3))
        #expect(throws: ImagingError.self) {
            try RGBImage(width: width, height: height, pixels: [])
        }
        #expect(throws: ImagingError.self) { try image.resized(width: width, height: height) }
    }

    @Test("a pixel is found by column and row")
    func subscripts() throws {
        let image = try RGBImage(width: 2, height: 2, pixels: Array(0..<12))
        #expect(image[1, 0] ?? (0, 0, 0) == (3, 4, 5))
        #expect(image[0, 1] ?? (0, 0, 0) == (6, 7, 8))
        #expect(image[2, 0] == nil)
        #expect(image[0, -1] == nil)
    }

    @Test("a crop is the rectangle asked for")
    func crops() throws {
        let image = try makePicture(width: 20, height: 15)
        let cut = try image.cropped(x: 3, y: 5, width: 7, height: 4)
        #expect(cut.width == 7 && cut.height == 4)
        for y in 0..<4 {
            for x in 0..<7 {
                #expect(cut[x, y] ?? (0, 0, 0) == image[x + 3, y + 5] ?? (1, 1, 1))
            }
        }
        #expect(try image.cropped(x: 0, y: 0, width: 20, height: 15) == image)
    }

    @Test(
        "a rectangle that leaves the picture is refused",
        arguments: [
            [-1, 0, 2, 2], [0, 0, 0, 1], [19, 0, 2, 1], [0, 14, 1, 2],
            [Int.max, 0, 1, 1], [1, 0, Int.max, 1],
        ]
    )
    func refusesRectangles(rectangle: [Int]) throws {
        let image = try makePicture(width: 20, height: 15)
        #expect(throws: ImagingError.self) {
            try image.cropped(
                x: rectangle[0],
                y: rectangle[1],
                width: rectangle[2],
                height: rectangle[3]
            )
        }
    }

    @Test("colours and alpha are cut and scaled together")
    func changesAlphaToo() throws {
        let image = try makePicture(width: 6, height: 4)
        let decoded = try DecodedImage(image: image, alpha: Array(0..<24), format: .png)
        let cut = try decoded.cropped(x: 1, y: 2, width: 2, height: 2)
        #expect(cut.alpha == [13, 14, 19, 20])
        let scaled = try decoded.resized(width: 3, height: 8)
        #expect(scaled.alpha?.count == 24)
        #expect(scaled.image == (try image.resized(width: 3, height: 8)))
        #expect(throws: ImagingError.self) {
            try DecodedImage(image: image, alpha: [1], format: .png)
        }
    }
}

@Suite struct ResampleParityTests {
    @Test(
        "scaling gives what the reference library gives",
        arguments: ImagingFixtures.expected.resize
    )
    func matchesReference(expected: ImagingFixtures.Resize) throws {
        let image = try ImageDecoder.decode(ImagingFixtures.bytes("resize.png")).image
        let scaled = try image.resized(width: expected.width, height: expected.height)
        #expect(scaled.width == expected.width && scaled.height == expected.height)
        // Measured: 0. One level is left for another library's sine.
        #expect(ImagingFixtures.worst(scaled.pixels, expected.rgb) <= 1)
    }

    @Test("one colour stays that colour at any size", arguments: [1, 2, 7, 64, 301])
    func keepsFlatColor(size: Int) throws {
        let image = try RGBImage(width: 50, height: 33, filledWith: (0, 129, 255))
        let scaled = try image.resized(width: size, height: size)
        #expect(scaled == (try RGBImage(width: size, height: size, filledWith: (0, 129, 255))))
    }
}

@Suite struct SimilarityTests {
    @Test(
        "PSNR and SSIM are what the plain formulas give",
        arguments: ImagingFixtures.expected.similarity
    )
    func matchesReference(expected: ImagingFixtures.Similarity) throws {
        let first = try ImageDecoder.decode(ImagingFixtures.bytes(expected.first)).image
        let second = try ImageDecoder.decode(ImagingFixtures.bytes(expected.second)).image
        #expect(abs(try psnr(first, second) - expected.psnr) < 1e-9)
        #expect(abs(try ssim(first, second) - expected.ssim) < 1e-9)
    }

    @Test("equal pictures have infinite PSNR and an SSIM of one")
    func equalPictures() throws {
        let image = try makePicture(width: 20, height: 15)
        #expect(try psnr(image, image) == .infinity)
        #expect(abs(try ssim(image, image) - 1) < 1e-12)
    }

    @Test("pictures that cannot be compared are refused")
    func refuses() throws {
        let small = try makePicture(width: 10, height: 30)
        let other = try makePicture(width: 11, height: 30)
        #expect(throws: ImagingError.self) { try psnr(small, other) }
        #expect(throws: ImagingError.self) { try ssim(small, other) }
        #expect(throws: ImagingError.self) { try ssim(small, small) }
    }
}
