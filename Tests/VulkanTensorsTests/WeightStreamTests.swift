// Part of Inkstone. Licence: see LICENSE.

import Tensors
import Testing
import VulkanTensors

/// Products with weights that stay in the machine's memory.
@Suite("Weights are streamed to the device", .needsVulkan)
struct WeightStreamTests {
    /// Matrices of different sizes, so that two or three share a slot, or one fills it.
    private static let sizes = [(64, 96), (96, 200), (200, 64), (64, 40), (40, 33), (33, 310)]

    private static func source(_ size: (depth: Int, columns: Int), seed: Int) -> MatrixSource {
        MatrixSource([
            StoredRows(
                OperationTests.numbers(size.depth * size.columns, seed: UInt64(seed)),
                rows: size.columns, depth: size.depth)
        ])
    }

    private static func weights(
        _ backend: VulkanBackend, _ placement: WeightPlacement, from seed: Int = 1
    ) -> [VulkanWeights] {
        sizes.enumerated().map { index, size in
            backend.makeWeights(
                source(size, seed: seed + index), precision: backend.precision,
                placement: placement)
        }
    }

    /// Multiplies a matrix with all weights in turn, several times; each product uses the one before.
    private static func chain(
        _ backend: VulkanBackend, _ weights: [VulkanWeights], pausing: Bool
    ) -> [Float] {
        var x = backend.upload(OperationTests.numbers(5 * 64, seed: 99), rows: 5, columns: 64)
        var results: [Float] = []
        for _ in 0..<4 {
            var value = x
            for (index, matrix) in weights.enumerated() {
                value = backend.product(
                    backend.operand(value, precision: backend.precision), matrix, adding: nil)
                if pausing, index % 3 == 2 { backend.pause() }
            }
            results += backend.download(value)
            x = backend.upload(
                Array(results.suffix(value.rows * value.columns).prefix(5 * 64)), rows: 5,
                columns: 64)
        }
        return results
    }

    @Test(
        "products have the same bytes wherever weights are kept",
        arguments: [Precision.f32, .bf16, .int8], RecordingOrder.allCases)
    func sameBytes(_ precision: Precision, _ order: RecordingOrder) throws {
        let limit = 3 * VulkanDevice.blockBytes
        let backend = try TestDevice.backend(order, precision: precision, memoryLimit: limit)
        let want = Self.chain(backend, Self.weights(backend, .device), pausing: false)
        let onHost = Self.weights(backend, .host)
        #expect(backend.device.recorder.statistics.streamedCopies == 0)
        for pausing in [false, true] {
            #expect(Self.chain(backend, onHost, pausing: pausing) == want)
        }
        let counts = backend.device.recorder.statistics
        let parts = precision == .f32 ? 1 : 2
        #expect(counts.streamedCopies == 2 * 4 * Self.sizes.count * parts)
        #expect(counts.streamedBytes == 8 * onHost.reduce(0) { $0 + $1.bytes })
        // One slot has no room for all.
        #expect(counts.streamSubmissions > 16 && counts.streamSubmissions <= counts.submissions)
        #expect(backend.device.pinnedBytes > 0)
        if let failure = backend.failure { throw failure }
    }

    @Test("weights that are loaded after the first copies get larger slots")
    func laterWeights() throws {
        let backend = try TestDevice.backend(
            precision: .int8, memoryLimit: 3 * VulkanDevice.blockBytes)
        let small = Self.weights(backend, .host)
        let first = Self.chain(backend, small, pausing: false)
        let size = (depth: 512, columns: 3000)
        let x = backend.upload(OperationTests.numbers(3 * 512, seed: 7), rows: 3, columns: 512)
        func product(_ placement: WeightPlacement) -> [Float] {
            let weights = backend.makeWeights(
                Self.source(size, seed: 50), precision: .int8, placement: placement)
            return backend.download(
                backend.product(backend.operand(x, precision: .int8), weights, adding: nil))
        }
        #expect(product(.host) == product(.device))
        #expect(Self.chain(backend, small, pausing: true) == first)
        if let failure = backend.failure { throw failure }
    }

    @Test("without memory for the slots the recorder fails with the reason, and nothing is written")
    func noMemory() throws {
        let backend = try TestDevice.backend(
            precision: .int8, memoryLimit: 2 * VulkanDevice.blockBytes)
        let weights = Self.weights(backend, .host)
        func fill() -> [DeviceBuffer] {
            var taken: [DeviceBuffer] = []
            for bytes in [1 << 20, 4096, 256] {
                while let buffer = try? backend.device.makeBuffer(bytes: bytes) {
                    taken.append(buffer)
                }
            }
            return taken
        }
        // Room for the first operand is left, none for a slot.
        let taken = withExtendedLifetime(try backend.device.makeBuffer(bytes: 8192), fill)
        #expect(throws: Never.self) { try backend.device.makeBuffer(bytes: 8192) }
        let got = Self.chain(backend, weights, pausing: false)
        #expect(got.allSatisfy { $0 == 0 })
        #expect(backend.failure?.isOutOfMemory == true)
        #expect(backend.device.recorder.statistics.streamedCopies == 0)
        withExtendedLifetime(taken) {}
    }
}
