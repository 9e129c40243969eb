// Part of Inkstone. Licence: see LICENSE.

import Tensors
import Testing
import VulkanTensors

extension OperationTests {
    static func groupNorm<Device: Backend>(
        _ channels: Int, groups: Int, _ backend: Device
    ) -> GroupNorm<Device> {
        GroupNorm(
            groups: groups, weight: backend.makeVector(numbers(channels, seed: 30)),
            bias: backend.makeVector(numbers(channels, seed: 31)), epsilon: 1e-6, silu: true)
    }

    struct Convolution: Computation {
        let geometry: ConvolutionGeometry
        let channels, columns: Int
        let isNormed: Bool
        var isReusing = true

        func callAsFunction<Device: Backend>(_ backend: Device) -> [Float] {
            let taps = geometry.kernel * geometry.kernel
            let weights = backend.makeWeights(
                MatrixSource(
                    [
                        StoredRows(
                            numbers(columns * channels * taps, seed: 8), rows: columns,
                            depth: channels, taps: taps)
                    ], bias: numbers(columns, seed: 9)), precision: .f32)
            let rows = geometry.height * geometry.width
            let x = backend.upload(
                numbers(rows * channels, seed: 10), rows: rows, columns: channels)
            let area = geometry.outputHeight * geometry.outputWidth
            let residual = backend.upload(
                numbers(area * columns, seed: 11), rows: area, columns: columns)
            return backend.download(
                backend.convolve(
                    x, norm: isNormed ? groupNorm(channels, groups: 1, backend) : nil, weights,
                    geometry: geometry, adding: residual, reusing: isReusing))
        }
    }

    @Test(
        "convolutions of every kind, with norm and residual",
        arguments: [
            ConvolutionGeometry(height: 5, width: 7),
            ConvolutionGeometry(height: 4, width: 6, kernel: 1),
            ConvolutionGeometry(height: 6, width: 4, stride: 2, padding: 0),
            ConvolutionGeometry(height: 3, width: 5, upsample: true),
            ConvolutionGeometry(height: 20, width: 13),
            ConvolutionGeometry(height: 1, width: 1),
            ConvolutionGeometry(height: 31, width: 1),
            ConvolutionGeometry(height: 1, width: 70, upsample: true),
        ], [(19, 37), (66, 3), (3, 33)])
    func convolution(_ geometry: ConvolutionGeometry, _ size: (Int, Int)) throws {
        for isNormed in [false, true] {
            try compare(
                Convolution(
                    geometry: geometry, channels: size.0, columns: size.1, isNormed: isNormed))
        }
    }

    struct ImageNorm: Computation {
        let pixels: Int
        let offset: Float

        func callAsFunction<Device: Backend>(_ backend: Device) -> [Float] {
            let x = backend.upload(
                numbers(pixels * 24, seed: 24).map { $0 + offset }, rows: pixels, columns: 24)
            return read(
                backend.groupNorm(
                    x, groupNorm(24, groups: 4, backend), precision: .f32), backend)
        }
    }

    @Test("group norms, also far from zero", arguments: [1, 255, 700])
    func groupNorm(_ pixels: Int) throws {
        try compare(ImageNorm(pixels: pixels, offset: 0))
        // Far from zero the difference from the mean has lost digits in the input already.
        try compare(ImageNorm(pixels: pixels, offset: 30), tolerance: 2e-3)
    }
}
