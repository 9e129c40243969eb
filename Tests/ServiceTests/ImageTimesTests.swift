// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Service
import Testing

@Suite("What pictures take") struct ImageTimesTests {
    private func request(_ width: Int, _ steps: Int) throws -> ImageRequest {
        let text = """
            {"prompt": "p", "negativePrompt": "", "size": {"width": \(width), "height": 16},
             "steps": \(steps), "guidanceScale": 0, "cfgNormalization": 0, "cfgTruncation": 1,
             "seed": 1, "count": 1}
            """
        return try JSONDecoder().decode(ImageRequest.self, from: Data(text.utf8))
    }

    private func timings(_ step: Double, _ steps: Int) -> Timings {
        Timings(
            text: 0, steps: Array(repeating: step, count: steps), decode: 0,
            total: step * Double(steps))
    }

    @Test("the nearest sizes say what a picture takes, the newest of them first")
    func nearest() throws {
        let times = ImageTimes()
        #expect(times.isEmpty(model: "m"))
        #expect(times.seconds(for: try request(16, 4), model: "m") == nil)
        for _ in 0..<8 { times.record(timings(1, 2), try request(16, 2), model: "m") }
        for _ in 0..<8 { times.record(timings(10, 2), try request(64, 2), model: "m") }
        #expect(!times.isEmpty(model: "m"))
        #expect(times.seconds(for: try request(16, 4), model: "m") == 4)
        #expect(times.seconds(for: try request(64, 4), model: "m") == 40)
        // Three quarters as wide as the wide ones: three quarters of their time.
        #expect(times.seconds(for: try request(48, 4), model: "m") == 30)
        for _ in 0..<5 { times.record(timings(3, 2), try request(16, 2), model: "m") }
        #expect(times.seconds(for: try request(16, 4), model: "m") == 12)
        #expect(times.seconds(for: try request(16, 4), model: "other") == nil)
    }

    @Test("pictures without steps teach nothing")
    func empty() throws {
        let times = ImageTimes()
        times.record(timings(1, 0), try request(16, 2), model: "m")
        #expect(times.isEmpty(model: "m"))
    }
}
