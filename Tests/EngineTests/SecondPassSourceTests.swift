// Part of Inkstone. Licence: see LICENSE.

import Catalog
import Engine
import Foundation
import Imaging
import ModelFiles
import Parameters
import Tensors
import Testing
import ZImage

/// Second passes of requests with source images, masks and control images.
@Suite("Second passes of source and control images", .timeLimit(.minutes(3)))
struct SecondPassSourceTests {
    private static let root = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    private static let nets = root.appending(path: "Tests/Fixtures/control")

    private func engine(_ model: URL = root.appending(path: "Models/emoji-nano")) throws
        -> CPUEngine
    {
        InferenceEngine(
            pipeline: try Pipeline(
                model: try ModelDirectory(url: model),
                device: try CPUBackend(precision: .f32, threads: 2)),
            controlNets: ControlNetRegistry(folder: Self.nets))
    }

    private func images(
        _ request: ImageRequest, on engine: CPUEngine
    ) throws -> [GeneratedImage] {
        var images: [GeneratedImage] = []
        try engine.run(request, isCancelled: { false }) { event in
            if case .image(let image) = event { images.append(image) }
        }
        return images
    }

    /// A picture with a disc, two thirds of which are red.
    private func picture(_ width: Int, _ height: Int) throws -> RGBImage {
        var pixels: [UInt8] = []
        for y in 0..<height {
            for x in 0..<width {
                let (dx, dy) = (2 * x - width, 2 * y - height)
                let isInside = dx * dx + dy * dy < height * height / 2
                pixels += isInside ? [220, UInt8(255 * x / width), 30] : [250, 250, 250]
            }
        }
        return try RGBImage(width: width, height: height, pixels: pixels)
    }

    /// White in the right half.
    private func rightHalf() throws -> RGBImage {
        try RGBImage(
            width: 64, height: 32,
            pixels: (0..<(64 * 32)).flatMap { index -> [UInt8] in
                Array(repeating: index % 64 < 32 ? 0 : 255, count: 3)
            })
    }

    private func draft(strength: Double = 0.5) throws -> ImageRequest.Draft {
        var draft = ImageRequest.Draft(prompt: "a red apple")
        (draft.width, draft.height, draft.steps, draft.seed) = (64, 32, 4, 7)
        draft.source = .init(image: try picture(256, 128), mask: nil)
        draft.strength = strength
        draft.secondPass = .init()
        return draft
    }

    /// The root of the mean square of the difference of two images, in the left or in the right half.
    private func distance(_ a: RGBImage, _ b: RGBImage, isRight: Bool) -> Double {
        var sum = 0.0
        for y in 0..<a.height {
            let start = isRight ? a.width / 2 : 0
            for index in (3 * (y * a.width + start))..<(3 * (y * a.width + start + a.width / 2)) {
                let difference = Double(a.pixels[index]) - Double(b.pixels[index])
                sum += difference * difference
            }
        }
        return (sum / Double(3 * a.height * a.width / 2)).squareRoot()
    }

    // MARK: - Source images

    @Test("a source image's second pass has its steps, its size, and the same bytes among others")
    func source() async throws {
        let engine = try engine()
        var drafts = [try draft(), try draft(strength: 0.75), try draft(strength: 1)]
        drafts[1].source = .init(image: try picture(256, 128), mask: try rightHalf())
        drafts[1].guidanceScale = 2
        drafts[2].secondPass?.steps = 2
        drafts[2].secondPass?.width = 96
        drafts[2].secondPass?.height = 96
        drafts[2].count = 2
        let requests = try drafts.map { try ImageRequest($0, for: engine.description) }
        #expect(requests.map(\.evaluations) == [2 + 4, 3 + 4, 4 + 2])
        let alone = try requests.map { try images($0, on: engine) }
        #expect(alone.map { $0[0].seconds.steps.count } == requests.map(\.evaluations))
        #expect(alone.map { $0[0].image.width } == [128, 128, 96])
        #expect(alone.map { $0[0].image.height } == [64, 64, 96])
        let together = try await withThrowingTaskGroup(of: (Int, [String]).self) { group in
            for (index, request) in requests.enumerated() {
                group.addTask {
                    var digests: [String] = []
                    for try await event in engine.events(for: request, model: "emoji-nano") {
                        if case .image(let image) = event { digests.append(image.pixelDigest) }
                    }
                    return (index, digests)
                }
            }
            return try await group.reduce(into: Array(repeating: [String](), count: 3)) {
                $0[$1.0] = $1.1
            }
        }
        #expect(together == alone.map { $0.map(\.pixelDigest) })
        let text = alone[0][0].parametersText(of: requests[0], model: engine.description)
        #expect(text.contains("Denoising strength: 0.5") && text.contains("Hires strength: 0.4"))
        #expect(text.contains("Size: 64x32") && text.contains("Hires resize: 128x64"))
        let read = try JSONDecoder().decode(
            ImageRequest.self, from: try JSONEncoder().encode(requests[0]))
        #expect(read.parameters == requests[0].parameters)
    }

    @Test("weak passes keep the source; a mask keeps its part at the resolution of the result")
    func keeps() throws {
        let engine = try engine()
        func image(
            _ mask: RGBImage?, _ strength: Double, later: Double
        ) throws -> RGBImage {
            var draft = try draft(strength: strength)
            // In smaller sizes the autoencoder alone loses half of the picture.
            (draft.width, draft.height) = (128, 64)
            draft.source?.mask = mask
            draft.secondPass?.strength = later
            return try images(try ImageRequest(draft, for: engine.description), on: engine)[0].image
        }
        let source = try picture(256, 128)
        let weak = try image(nil, 0.25, later: 0.1)
        let strong = try image(nil, 1, later: 1)
        let masked = try image(try rightHalf(), 1, later: 1)
        let (near, far) = (
            distance(weak, source, isRight: false), distance(strong, source, isRight: false)
        )
        let kept = distance(masked, source, isRight: false)
        #expect(near < far / 2 && kept < far / 2, "\(near) \(far) \(kept)")
        // The second pass keeps what the source shows, not what the smaller first pass left of it.
        #expect(kept < near, "\(kept) \(near)")
        #expect(distance(masked, source, isRight: true) > 2 * kept)
    }

    // MARK: - Control images

    @Test(
        "a whole second pass with controls is an image of its size with these controls",
        arguments: ["1.0", "2.0", "2.1", "lite"])
    func controls(version: String) throws {
        let engine = try engine(Self.nets.appending(path: "base"))
        var first = ImageRequest.Draft(prompt: "a cat")
        (first.width, first.height, first.steps, first.seed) = (48, 32, 3, 5)
        first.guidanceScale = version == "1.0" ? 0 : 3
        first.secondPass = .init()
        first.secondPass?.strength = 1
        var whole = first
        (whole.width, whole.height, whole.secondPass) = (96, 64, nil)
        var control = ControlParameters(model: "net-\(version)")
        control.map = Data(try ImageEncoder.encode(try picture(96, 64)))
        control.end = version == "2.1" ? 0.5 : 1
        if version == "lite" {
            control.source = control.map
            control.mask = Data(try ImageEncoder.encode(try rightHalf()))
        }
        func pixels(_ draft: ImageRequest.Draft, _ controls: [ControlParameters]) throws -> String {
            let request = try ImageRequest(draft, for: engine.description).with(controls: controls)
            return try images(request, on: engine)[0].pixelDigest
        }
        let controlled = try pixels(first, [control])
        #expect(try pixels(whole, [control]) == controlled)
        #expect(try pixels(first, []) != controlled)
    }

    /// With one step the second image begins while the first one is in its second pass, else in its first.
    @Test(
        "controls of a weak second pass change its image, in the order of the batch or not",
        arguments: [1, 2])
    func weakControls(steps: Int) throws {
        let engine = try engine(Self.nets.appending(path: "base"))
        var draft = ImageRequest.Draft(prompt: "a cat")
        (draft.width, draft.height, draft.steps, draft.seed) = (48, 32, steps, 5)
        draft.count = 2
        draft.secondPass = .init()
        var control = ControlParameters(model: "net-lite")
        control.map = Data(try ImageEncoder.encode(try picture(48, 32)))
        let request = try ImageRequest(draft, for: engine.description)
        func digests(_ strength: Double) throws -> [String] {
            var changed = control
            changed.strength = strength
            return try images(try request.with(controls: [changed]), on: engine).map(\.pixelDigest)
        }
        let plain = try images(request, on: engine).map(\.pixelDigest)
        #expect(try digests(0) == plain)
        let both = try digests(1)
        #expect(Set(both + plain).count == 4)
        // The second image of a request, which shares its controls with the first, is also made alone.
        control.strength = 1
        let rest = try request.with(controls: [control]).dropping(first: 1)
        #expect(try images(rest, on: engine).map(\.pixelDigest) == [both[1]])
    }
}
