// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Gateway
import HTTPTypes
import Imaging
import NIOCore
import Testing

@Suite struct ImagesStreamTests {
    private let path = "/v1/images/generations"

    @Test("a stream has the requested partial images, then the image", arguments: 0...3)
    func partialImages(count: Int) async throws {
        try await withGateway(try FakeGenerator()) { client in
            let response = try await client.post(
                path, #"{"prompt": "p", "stream": true, "partial_images": \#(count), "seed": 7}"#)
            #expect(response.status == .ok)
            #expect(response.headers[.cacheControl] == "no-store")
            let events = try response.events()
            #expect(
                events.map(\.name) == Array(
                    repeating: "image_generation.partial_image", count: count)
                    + ["image_generation.completed"])
            for (index, event) in events.enumerated() {
                #expect(event.data["type"] as? String == event.name)
                #expect(event.data["size"] as? String == "32x16")
                #expect(event.data["output_format"] as? String == "png")
                #expect(event.data["background"] as? String == "opaque")
                #expect(event.data["created_at"] is Int)
                let isLast = index == count
                #expect(event.data["partial_image_index"] as? Int == (isLast ? nil : index))
                #expect(event.data["seed"] as? Int == (isLast ? 7 : nil))
                let base64 = try #require(event.data["b64_json"] as? String)
                let file = try #require(Data(base64Encoded: base64))
                let image = try ImageDecoder.decode(Array(file)).image
                #expect(image.width == 32 && image.height == 16)
            }
        }
    }

    @Test("the first partial image follows the first step, the others are spread evenly")
    func spread() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let response = try await client.post(
                path, #"{"prompt": "p", "stream": true, "partial_images": 2, "steps": 12}"#)
            let steps = try response.events().dropLast().map { event in
                let base64 = try #require(event.data["b64_json"] as? String)
                let file = try #require(Data(base64Encoded: base64))
                // The stand-in paints the number of the step in red.
                return try ImageDecoder.decode(Array(file)).image[0, 0]?.red
            }
            #expect(steps == [1, 7])
        }
    }

    @Test("a stream of several images completes each of them")
    func severalPictures() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let response = try await client.post(
                path, #"{"prompt": "p", "stream": true, "n": 3, "partial_images": 1}"#)
            let events = try response.events()
            #expect(events.map { $0.data["index"] as? Int } == [0, 0, 1, 1, 2, 2])
            #expect(events.filter { $0.name.hasSuffix("completed") }.count == 3)
        }
    }

    @Test("a failure in the middle becomes an error event that clients raise")
    func failure() async throws {
        let generator = try FakeGenerator(.fail(GenerationError(.numeric, "Step 1 broke.")))
        try await withGateway(generator) { client in
            let response = try await client.post(path, #"{"prompt": "p", "stream": true}"#)
            let last = try #require(try response.events().last)
            #expect(last.data["type"] as? String == "error")
            let error = try #require(last.data["error"] as? [String: Any])
            #expect(error["code"] as? String == "numeric_failure")
            #expect(error["message"] as? String == "Step 1 broke.")
        }
    }

    @Test("while nothing happens, comments keep the connection open", .timeLimit(.minutes(5)))
    func keepAlive() async throws {
        let generator = try FakeGenerator(.hang)
        let events = generator.events(
            for: try ImageRequest(.init(prompt: "p"), for: .tiny()), model: "tiny")
        var signs = 0
        await #expect(throws: CancellationError.self) {
            try await EventRelay.run(events, keepAlive: .milliseconds(1)) { item in
                if case .keepAlive = item { signs += 1 }
                if signs == 3 { throw CancellationError() }
            }
        }
        for await _ in generator.cancellations { break }
    }

    @Test("a slow client misses previews and nothing else")
    func slowClient() throws {
        let waiting = WaitingEvents()
        let preview = try RGBImage(width: 1, height: 1, filledWith: (0, 0, 0))
        waiting.add(.keepAlive)
        waiting.add(.keepAlive)
        for step in 1...3 {
            waiting.add(.event(.step(image: 0, step: step, steps: 3, seconds: 0)))
            waiting.add(.event(.preview(image: 0, step: step, preview)))
            waiting.add(.event(.preview(image: 1, step: step, preview)))
        }
        waiting.add(.keepAlive)
        let names = waiting.drain().map { item in
            switch item {
            case .keepAlive: "alive"
            case .event(.step(_, let step, _, _)): "step \(step)"
            case .event(.preview(let image, let step, _)): "preview \(image) of \(step)"
            case .event: "other"
            }
        }
        #expect(
            names == ["alive", "step 1", "step 2", "step 3", "preview 0 of 3", "preview 1 of 3"])
        #expect(waiting.drain().isEmpty)
    }
}
