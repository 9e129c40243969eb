// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Imaging
import NIOCore
import Parameters
import Service
import Tensors
import Testing

/// The parts of a pool that need no process.
@Suite struct WorkerPartsTests {
    @Test("frames come whole, however the bytes arrive")
    func frames() throws {
        let long = [UInt8](repeating: 7, count: 70_000)
        var all = try WorkerFrame.encode(["a": 1], payload: long)
        var second = try WorkerFrame.encode(["b": 2])
        all.writeBuffer(&second)
        let bytes = Array(all.readableBytesView)
        for size in [1, 3, 8, 4096, bytes.count] {
            var buffer = ByteBuffer()
            var frames: [WorkerFrame] = []
            var start = 0
            while start < bytes.count {
                buffer.writeBytes(bytes[start..<min(start + size, bytes.count)])
                start += size
                while let frame = try WorkerFrame.take(from: &buffer) { frames.append(frame) }
                buffer.discardReadBytes()
            }
            #expect(frames.map(\.header) == [Array(#"{"a":1}"#.utf8), Array(#"{"b":2}"#.utf8)])
            #expect(frames.map(\.payload) == [long, []])
            #expect(buffer.readableBytes == 0)
        }
    }

    @Test("a GPU gets one worker, the processor any number")
    func devices() throws {
        var launch = ModelLaunch(folder: URL(filePath: "/"))
        #expect(try launch.devices(for: 3, beside: [.cpu]) == [.cpu, .cpu, .cpu])
        let gpus = [DeviceSelection.vulkan(.number(0)), .vulkan(.number(1))]
        launch.devices = gpus
        #expect(launch.isOnGPU)
        #expect(try launch.devices(for: 2, beside: []) == launch.devices)
        // The worker of GPU 0 was removed.
        #expect(try launch.devices(for: 1, beside: [gpus[1]]) == [gpus[0]])
        let error = #expect(throws: LaunchError.self) {
            try launch.devices(for: 2, beside: [gpus[0]])
        }
        #expect(error?.code == .usage && error?.message.contains("3 were requested") == true)
        launch.devices = [gpus[0], .cpu]
        #expect(!launch.isOnGPU)
        #expect(try launch.devices(for: 3, beside: []) == [gpus[0], .cpu, .cpu])
    }

    @Test("the folder of a gateway that is being killed goes when its lock is released")
    func abandonedFolder() async throws {
        let parent = FileManager.default.temporaryDirectory
        var folder: SocketFolder? = try SocketFolder(in: parent)
        let path = try #require(folder?.path)
        let removal = Thread { SocketFolder.removeIfAbandoned(path) }
        removal.start()
        try await Task.sleep(for: .milliseconds(120))
        #expect(FileManager.default.fileExists(atPath: path))
        folder = nil
        #expect(
            try await WorkerBench.wait { !FileManager.default.fileExists(atPath: path) })
    }

    @Test("lengths that no frame has are refused before anything is read")
    func hostileLengths() {
        for (header, payload) in [(UInt32.max, 0), (0, UInt32.max)] as [(UInt32, UInt32)] {
            var buffer = ByteBuffer()
            buffer.writeInteger(header)
            buffer.writeInteger(payload)
            #expect(throws: WorkerFrameError.self) { try WorkerFrame.take(from: &buffer) }
        }
    }

    @Test("a second run leaves out what the first has delivered")
    func delivery() throws {
        let delivery = Delivery(try Self.request(count: 3, seed: 5))
        func image(_ index: Int) throws -> JobEvent {
            .image(
                GeneratedImage(
                    index: index, seed: 0,
                    image: try RGBImage(width: 1, height: 1, pixels: [1, 2, 3]), pixelDigest: "",
                    promptTruncated: false,
                    seconds: Timings(text: 0, steps: [], decode: 0, total: 0)))
        }
        #expect(delivery.leading == 0 && !delivery.isComplete)
        #expect(delivery.accept(try image(0), leading: 0) != nil)
        #expect(delivery.accept(try image(2), leading: 0) != nil)
        #expect(delivery.leading == 1)
        // The next worker starts at image 1, which has the index 0 there.
        let step = JobEvent.step(image: 1, step: 1, steps: 2, seconds: 0)
        #expect(delivery.accept(step, leading: 1) == nil)
        guard case .image(let second) = delivery.accept(try image(0), leading: 1) else {
            Issue.record("image 1 was left out")
            return
        }
        #expect(second.index == 1)
        #expect(delivery.accept(try image(1), leading: 1) == nil)
        #expect(delivery.isComplete)
    }

    @Test("the largest seed is not counted beyond what a request may begin with")
    func largestSeed() throws {
        #expect(Delivery(try Self.request(count: 2, seed: .max)).leading == 0)
    }

    @Test("pauses double up to a limit, and the first death costs none")
    func pauses() {
        let settings = WorkerSettings()
        #expect(settings.reruns == 3)
        let seconds = (0..<12).map { settings.pause(after: $0) / .seconds(1) }
        #expect(seconds == [0, 0, 0.25, 0.5, 1, 2, 4, 8, 16, 30, 30, 30])
    }

    private static func request(count: Int, seed: UInt64) throws -> ImageRequest {
        let size = PixelSize(width: 16, height: 16)
        let model = ModelDescription(
            id: "m", name: "M", summary: [:], license: "",
            defaults: .init(size: size, steps: 2, guidanceScale: 0, negativePrompt: ""),
            limits: .init(
                maximumWidth: 16, maximumHeight: 16, maximumSteps: 2, maximumCount: 4,
                maximumPromptLength: 10, sizeMultiple: 16),
            sizes: [], presets: [], examples: [:], parameterCount: 0, precision: "f32",
            kernels: "portable", loadedAt: 0)
        var draft = ImageRequest.Draft(prompt: "p")
        draft.count = count
        draft.seed = seed
        return try ImageRequest(draft, for: model)
    }
}
