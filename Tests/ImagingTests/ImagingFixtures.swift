// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Imaging
import Testing

/// The files that `make_imaging_fixtures.py` made, and what other programs see in them.
struct ImagingFixtures: Decodable {
    struct Decode: Decodable, Sendable, CustomTestStringConvertible {
        let file: String
        let width: Int
        let height: Int
        let rgb: Data
        let alpha: Data?
        let tolerance: Int
        let parameters: String?

        var testDescription: String { file }
    }

    struct Resize: Decodable, Sendable, CustomTestStringConvertible {
        let width: Int
        let height: Int
        let rgb: Data

        var testDescription: String { "\(width)x\(height)" }
    }

    struct Similarity: Decodable, Sendable, CustomTestStringConvertible {
        let first: String
        let second: String
        let psnr: Double
        let ssim: Double

        var testDescription: String { "\(first), \(second)" }
    }

    let decode: [Decode]
    let resize: [Resize]
    let similarity: [Similarity]

    static let folder = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures/imaging").path

    /// Empty when the fixtures cannot be read; a test of its own notices that.
    static let expected: ImagingFixtures = {
        guard let data = FileManager.default.contents(atPath: folder + "/expected.json"),
            let fixtures = try? JSONDecoder().decode(ImagingFixtures.self, from: data)
        else { return ImagingFixtures(decode: [], resize: [], similarity: []) }
        return fixtures
    }()

    static func bytes(_ file: String) throws -> [UInt8] {
        try ImageFile.readBytes(from: "\(folder)/\(file)", maximumBytes: 1 << 20)
    }

    /// The largest difference of two arrays of the same length, 256 for other lengths.
    static func worst(_ first: some Collection<UInt8>, _ second: some Collection<UInt8>) -> Int {
        guard first.count == second.count else { return 256 }
        return zip(first, second).map { abs(Int($0) - Int($1)) }.max() ?? 0
    }
}

/// A small generator with a seed, so that every run draws the same numbers.
///
/// - Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// Waves, an edge and noise: what compressors meet in pictures.
func makePicture(width: Int, height: Int, seed: UInt64 = 1) throws -> RGBImage {
    var generator = SplitMix64(state: seed)
    var pixels = [UInt8]()
    for y in 0..<height {
        for x in 0..<width {
            for channel in 0..<3 {
                let wave = sin(Double(x * (channel + 1)) / 23) * cos(Double(y) / 17)
                let edge = x > width / 3 && y > height / 2 ? 40.0 : 0
                let noise = Double.random(in: -4...4, using: &generator)
                pixels.append(UInt8(max(0, min(255, 110 + 90 * wave + edge + noise))))
            }
        }
    }
    return try RGBImage(width: width, height: height, pixels: pixels)
}
