// Part of Inkstone. Licence: see LICENSE.

import ControlMaps
import Foundation
import Imaging
import Testing

/// Maps against those that OpenCV made; see `make_control_map_fixtures.py`.
@Suite("Maps of control images")
struct ControlMapTests {
    private static let folder = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures/controlmaps")

    private func image(_ name: String) throws -> RGBImage {
        let data = try Data(contentsOf: Self.folder.appending(path: "\(name).png"))
        return try ImageDecoder.decode([UInt8](data)).flattened()
    }

    @Test(
        "the same pixels as OpenCV's",
        arguments: [
            ("grey", Preprocessor.grey, []), ("canny-100-200", .canny, []),
            ("canny-20-60", .canny, [20, 60]), ("blur-9", .blur, []), ("blur-1.3", .blur, [1.3]),
            ("threshold-127", .threshold, []), ("invert", .invert, []),
        ] as [(String, Preprocessor, [Double?])])
    func exact(_ name: String, _ preprocessor: Preprocessor, _ values: [Double?]) throws {
        let map = try preprocessor.map(of: try image("image"), values)
        let want = try image(name)
        let wrong = zip(map.pixels, want.pixels).count { $0 != $1 }
        #expect(map.pixels.count == want.pixels.count && wrong == 0, "\(wrong) pixels differ")
    }

    @Test(
        "lines by blurs in f32 differ from OpenCV's in rounding only",
        arguments: [("scribble-32", nil), ("scribble-8", 8)] as [(String, Double?)])
    func scribble(_ name: String, _ contrast: Double?) throws {
        let map = try Preprocessor.scribble.map(of: try image("image"), [contrast])
        let want = try image(name)
        let wrong = zip(map.pixels, want.pixels).count { $0 != $1 } / 3
        #expect(wrong <= 2, "\(wrong) of \(want.width * want.height) pixels differ")
        #expect(want.pixels.contains(255) && want.pixels.contains(0))
    }

    @Test("images of one pixel, one row and one column", arguments: Preprocessor.allCases)
    func small(_ preprocessor: Preprocessor) throws {
        for (width, height) in [(1, 1), (7, 1), (1, 9), (2, 2)] {
            let image = try RGBImage(width: width, height: height, filledWith: (200, 10, 90))
            let map = try preprocessor.map(of: image)
            #expect(map.width == width && map.height == height)
        }
    }

    @Test("a tile loses what is smaller than its pixels, and a rate of 1 changes nothing")
    func tile() throws {
        let source = try image("image")
        #expect(try Preprocessor.tile.map(of: source) == source)
        let coarse = try Preprocessor.tile.map(of: source, [4])
        #expect(coarse != source)
        let small = try source.resized(width: 30, height: 22)
        #expect(try small.resized(width: source.width, height: source.height) == coarse)
    }

    @Test("thresholds in the wrong order and out of range are put right")
    func limits() throws {
        let source = try image("image")
        #expect(
            try Preprocessor.canny.map(of: source, [60, 20])
                == Preprocessor.canny.map(of: source, [20, 60]))
        let all = try Preprocessor.threshold.map(of: source, [-5])
        #expect(all == (try Preprocessor.threshold.map(of: source, [0])))
    }

    @Test("names of A1111's extension are found in any case, others are not")
    func names() {
        for preprocessor in Preprocessor.allCases {
            #expect(Preprocessor(named: preprocessor.webUIName) == preprocessor)
            #expect(Preprocessor(named: preprocessor.rawValue.uppercased()) == preprocessor)
        }
        #expect(Preprocessor(named: "None") == Preprocessor.none)
        #expect(Preprocessor(named: "tile_resample") == .tile)
        #expect(Preprocessor(named: "openpose") == nil)
    }

    @Test("an image of another shape is stretched, cropped or padded")
    func fitting() throws {
        let wide = try RGBImage(width: 80, height: 20, filledWith: (250, 250, 250))
        for fitting in Fitting.allCases {
            let fitted = try fitting.fitted(wide, width: 32, height: 48)
            #expect(fitted.width == 32 && fitted.height == 48)
            let black = stride(from: 0, to: fitted.pixels.count, by: 3)
                .count { fitted.pixels[$0] == 0 }
            #expect(black == (fitting == .pad ? 32 * 40 : 0))
        }
    }
}
