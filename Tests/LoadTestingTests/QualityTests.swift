// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Imaging
import LoadTesting
import Testing

@Suite struct QualityTests {
    /// A smooth image with seeded noise.
    static func image(width: Int = 192, height: Int = 192, noise: Int, seed: UInt64 = 1) throws
        -> RGBImage
    {
        var generator = SplitMix64(seed: seed)
        var pixels: [UInt8] = []
        for row in 0..<height {
            for column in 0..<width {
                for channel in 0..<3 {
                    let wave = sin(Double(row * (channel + 1)) / 17) + cos(Double(column) / 11)
                    let value =
                        128 + 50 * wave
                        + Double(noise > 0 ? Int.random(in: -noise...noise, using: &generator) : 0)
                    pixels.append(UInt8(min(max(value, 0), 255)))
                }
            }
        }
        return try RGBImage(width: width, height: height, pixels: pixels)
    }

    @Test("equal images are identical, without an infinite number")
    func identical() throws {
        let image = try Self.image(noise: 0)
        let quality = try ImageQuality(reference: image, test: image)
        #expect(quality.identical && quality.psnr == nil && quality.meanSquare == 0)
        #expect(quality.ssim == 1 && quality.gradientDeviation == 0 && quality.colorDifference == 0)
        #expect(quality.multiScaleSSIM.map { abs($0 - 1) < 1e-12 } == true)
        let summary = QualitySummary([quality, quality])
        #expect(summary.identical == 2 && summary.meanPSNR.value == nil)
        #expect(summary.meanPSNR.reason == "all pairs are identical")
        _ = try RecordCoding.document(summary)
    }

    @Test("every metric gets worse with more noise")
    func order() throws {
        let reference = try Self.image(noise: 0)
        let qualities = try [4, 16, 48].map {
            try ImageQuality(reference: reference, test: Self.image(noise: $0))
        }
        for (better, worse) in zip(qualities, qualities.dropFirst()) {
            #expect(try #require(better.psnr) > (try #require(worse.psnr)))
            #expect(try #require(better.ssim) > (try #require(worse.ssim)))
            #expect(try #require(better.multiScaleSSIM) > (try #require(worse.multiScaleSSIM)))
            #expect(better.gradientDeviation < worse.gradientDeviation)
            #expect(better.colorDifference < worse.colorDifference)
            #expect(better.largestDifference < worse.largestDifference)
        }
        // Uniform noise of +-16 has a mean square of (33^2 - 1) / 12.
        #expect(abs(qualities[1].meanSquare / 90.67 - 1) < 0.03)
        let summary = QualitySummary(qualities)
        #expect(try #require(summary.psnrOfMean) < (try #require(summary.meanPSNR.value)))
        #expect(summary.leastPSNR == qualities[2].psnr)
    }

    @Test(
        "CIEDE2000 has the published differences",
        arguments: [
            ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
            ((50, 3.1571, -77.2803), (50, 0, -82.7485), 2.8615),
            ((50, 2.8361, -74.0200), (50, 0, -82.7485), 3.4412),
            ((50, 0, 0), (50, -1, 2), 2.3669), ((50, 2.49, -0.001), (50, -2.49, 0.0009), 7.1792),
            ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
        ])
    func color(
        first: (Double, Double, Double), second: (Double, Double, Double), expected: Double
    ) {
        let one = ColorLab(l: first.0, a: first.1, b: first.2)
        let other = ColorLab(l: second.0, a: second.1, b: second.2)
        #expect(abs(one.difference(to: other) - expected) < 5e-5)
        #expect(abs(other.difference(to: one) - expected) < 5e-5)
    }

    @Test("small images have no multi-scale figure, other sizes are refused")
    func sizes() throws {
        let small = try Self.image(width: 64, height: 64, noise: 4)
        let quality = try ImageQuality(
            reference: try Self.image(width: 64, height: 64, noise: 0), test: small)
        #expect(quality.multiScaleSSIM == nil && quality.ssim != nil)
        #expect(throws: (any Error).self) {
            try ImageQuality(
                reference: small, test: try Self.image(width: 64, height: 48, noise: 0))
        }
    }

    @Test("a blank image is detected")
    func sanity() throws {
        let blank = ImageSanity(try RGBImage(width: 32, height: 32, filledWith: (255, 255, 255)))
        #expect(blank.clipped == 1 && blank.standardDeviation == 0 && blank.entropy == 0)
        let lively = ImageSanity(try Self.image(noise: 30))
        #expect(lively.entropy > 5 && lively.standardDeviation > 30)
    }

    @Test("a sweep of steps is compared with its reference of 8 steps, pair by pair")
    func sweep() throws {
        try EvidenceTests.withFolder { folder in
            var levels: [LevelEvidence] = []
            for (steps, noise) in [(0, 0), (2, 40), (4, 20), (8, 0), (12, 8)] {
                let key =
                    steps == 0 ? "reference" : "steps-" + String(1000 + steps).dropFirst()
                let visit = LevelVisit(
                    level: key, visit: 1, load: LoadModel(kind: .closed, users: 1))
                var records: [LoadRequestRecord] = []
                for number in 0..<6 {
                    var record = Simulation(level: key).records()[number]
                    record.parameters = RequestParameters(
                        prompt: "p\(number)", width: 192, height: 192, steps: steps,
                        seed: UInt32(number))
                    let name = "images/\(key)-\(number).png"
                    let image = try Self.image(noise: noise, seed: UInt64(number))
                    try ResultFolder.write(
                        Data(try ImageEncoder.encode(image)), to: folder.url.appending(path: name)
                    )
                    record.image?.file = name
                    records.append(record)
                }
                var result = LevelResult(
                    level: key, visit: 1, load: visit.load,
                    begin: ClockAnchor(monotonic: 0, unixMicroseconds: 0))
                result.isComplete = true
                levels.append(LevelEvidence(visit: visit, result: result, records: records))
            }
            var manifest = SimulatedRun.manifest(levels.map(\.visit))
            manifest.sweep = .steps
            let report = try #require(
                try QualityReport(folder, RunEvidence(manifest: manifest, levels: levels)))
            #expect(report.reference == "reference")
            #expect(report.levels.map(\.isReference) == [true, false, false, false, false])
            let means = report.levels.map { $0.quality?.meanPSNR.value }
            #expect(try #require(means[1]) < (try #require(means[2])))
            #expect(try #require(means[2]) < (try #require(means[4])))
            #expect(report.levels[3].quality?.identical == 6)
            #expect(report.levels[1].quality?.n == 6)
            #expect(report.levels.map { $0.next == nil } == [true, false, false, false, true])
            #expect(report.markdown.contains("not a judgement of quality"))
            manifest.sweep = .concurrency
            #expect(
                try QualityReport(folder, RunEvidence(manifest: manifest, levels: levels)) == nil)
        }
    }

    @Test("two folders of images must have the same names")
    func folders() throws {
        try EvidenceTests.withFolder { folder in
            let (first, second) = (folder.url.appending(path: "a"), folder.url.appending(path: "b"))
            for (place, noise) in [(first, 0), (second, 6)] {
                let bytes = try ImageEncoder.encode(try Self.image(noise: noise))
                try ResultFolder.write(Data(bytes), to: place.appending(path: "1.png"))
            }
            #expect(try QualityReport.folders(first, second).n == 1)
            try ResultFolder.write(Data([1]), to: second.appending(path: "2.png"))
            let error = #expect(throws: ResultError.self) {
                try QualityReport.folders(first, second)
            }
            #expect(
                error?.description == "2.png is in one folder only; both must hold the same names.")
        }
    }

    @Test("the fit over tokens finds the parameters of synthetic times")
    func tokens() throws {
        let sizes = [256.0, 576, 1024, 2304, 4096].map {
            TokenFit.Size(size: "\($0)", tokens: $0, seconds: 0.01 + 2e-5 * $0 + 3e-9 * $0 * $0)
        }
        let fit = try #require(TokenFit(sizes: sizes, attentionShare: 0.3))
        #expect(abs(fit.constant - 0.01) < 1e-9)
        #expect(abs(fit.linear / 2e-5 - 1) < 1e-6)
        #expect(abs(fit.quadratic / 3e-9 - 1) < 1e-6)
        #expect(fit.rSquared > 0.999999)
        #expect(TokenFit(sizes: Array(sizes.prefix(3)), attentionShare: nil) == nil)
    }
}
