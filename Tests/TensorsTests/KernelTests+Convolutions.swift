// Part of Inkstone. Licence: see LICENSE.

import Tensors
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

extension KernelTests {
    @Test(
        "convolutions of every kind, with norm and residual", arguments: Variant.convolving,
        [
            ConvolutionGeometry(height: 5, width: 7),
            ConvolutionGeometry(height: 4, width: 6, kernel: 1),
            ConvolutionGeometry(height: 6, width: 4, stride: 2, padding: 0),
            ConvolutionGeometry(height: 3, width: 5, upsample: true),
            ConvolutionGeometry(height: 20, width: 13),
            ConvolutionGeometry(height: 1, width: 1),
            ConvolutionGeometry(height: 31, width: 1),
            ConvolutionGeometry(height: 1, width: 230, upsample: true),
        ])
    func convolution(_ variant: Variant, _ geometry: ConvolutionGeometry) throws {
        let pair = try Pair(variant)
        for layout in [MatrixSource.Layout.stacked, .winograd3x3] {
            for (channels, columns) in [(19, 37), (66, 3), (3, 33)] {
                for normed in [false, true] {
                    if layout == .winograd3x3, geometry.kernel == 1 || geometry.stride == 2 {
                        continue
                    }
                    // Normed inputs are rounded to bf16 after arithmetic that the reference does in f64.
                    pair.compare(normed ? variant.rounded(40) : 20) { backend in
                        let convolution = Filter(
                            channels: channels, columns: columns, geometry: geometry,
                            layout: layout, groups: normed ? 1 : 0)
                        return backend.download(run(convolution, backend))
                    }
                }
            }
        }
    }

    private struct Filter {
        var channels: Int
        var columns: Int
        var geometry: ConvolutionGeometry
        var layout: MatrixSource.Layout
        /// 0 for no norm.
        var groups: Int
        var residual = true
        var reusing = true
    }

    private func run(_ filter: Filter, _ backend: CPUBackend) -> CPUValues {
        let (geometry, channels, columns) = (filter.geometry, filter.channels, filter.columns)
        let taps = geometry.kernel * geometry.kernel
        let weights = backend.makeWeights(
            MatrixSource(
                [
                    StoredRows(
                        numbers(columns * channels * taps, seed: 8), rows: columns,
                        depth: channels, taps: taps)
                ], layout: filter.layout, bias: numbers(columns, seed: 9)),
            precision: backend.precision)
        let rows = geometry.height * geometry.width
        let x = backend.upload(
            numbers(rows * channels, seed: 10), rows: rows, columns: channels)
        let area = geometry.outputHeight * geometry.outputWidth
        let residual = backend.upload(
            numbers(area * columns, seed: 11), rows: area, columns: columns)
        return backend.convolve(
            x, norm: filter.groups == 0 ? nil : norm(channels, filter.groups, backend), weights,
            geometry: geometry, adding: filter.residual ? residual : nil, reusing: filter.reusing)
    }

    func norm(
        _ channels: Int, _ groups: Int, _ backend: CPUBackend
    ) -> GroupNorm<CPUBackend> {
        GroupNorm(
            groups: groups, weight: backend.makeVector(numbers(channels, seed: 25)),
            bias: backend.makeVector(numbers(channels, seed: 26)), epsilon: 1e-6, silu: true)
    }

    @Test(
        "Winograd convolutions agree with direct ones", arguments: Variant.convolving,
        [false, true])
    func winograd(_ variant: Variant, _ upsample: Bool) throws {
        let fast = try variant.backend()
        let exact = try CPUBackend(referenceFor: fast, precision: .f32)
        let geometry = ConvolutionGeometry(height: 33, width: 50, upsample: upsample)
        func filter(_ layout: MatrixSource.Layout) -> Filter {
            Filter(channels: 48, columns: 40, geometry: geometry, layout: layout, groups: 4)
        }
        let want = exact.download(run(filter(.stacked), exact))
        // bf16 loses about 4 dB compared with 9 products per pixel: 49 and 53 dB.
        let noise = signalToNoise(fast.download(run(filter(.winograd3x3), fast)), want)
        #expect(noise > (variant.precision == .bf16 ? 47 : 120), "\(noise) dB")
    }

    @Test("results in the memory of an input", arguments: Variant.convolving)
    func reusing(_ variant: Variant) throws {
        let backend = try variant.backend()
        // Several bands of pixels: the result of one must not overwrite the input of the next.
        for (kernel, columns, residual) in [(1, 7, false), (1, 3, false), (3, 5, true)] {
            var filter = Filter(
                channels: 7, columns: columns,
                geometry: ConvolutionGeometry(height: 40, width: 30_000, kernel: kernel),
                layout: .stacked, groups: 0, residual: residual, reusing: false)
            let want = backend.download(run(filter, backend))
            filter.reusing = true
            #expect(backend.download(run(filter, backend)) == want)
        }
    }

    private func signalToNoise(_ got: [Float], _ want: [Float]) -> Double {
        var (signal, noise) = (0.0, 0.0)
        for (x, y) in zip(got, want) {
            signal += Double(y) * Double(y)
            noise += (Double(x) - Double(y)) * (Double(x) - Double(y))
        }
        return 10 * log10(signal / max(noise, .leastNormalMagnitude))
    }

    @Test("a norm uses the sums of the preceding convolution", arguments: Variant.convolving)
    func sumsOfConvolution(_ variant: Variant) throws {
        let backend = try variant.backend()
        for geometry in [
            ConvolutionGeometry(height: 1, width: 3), ConvolutionGeometry(height: 57, width: 61),
            ConvolutionGeometry(height: 21, width: 33, upsample: true),
        ] {
            let summed = run(
                Filter(
                    channels: 20, columns: 36, geometry: geometry, layout: .winograd3x3, groups: 0),
                backend)
            // The same values, without sums.
            let uploaded = backend.upload(
                backend.download(summed), rows: summed.rows, columns: summed.columns)
            let norm = self.norm(36, 6, backend)
            let (got, want) = (
                read(backend.groupNorm(summed, norm, precision: variant.precision), backend),
                read(backend.groupNorm(uploaded, norm, precision: variant.precision), backend)
            )
            let largest = want.map(abs).max() ?? 0
            let worst = zip(got, want).map { abs($0 - $1) }.max() ?? 0
            #expect(worst <= variant.tolerance * variant.rounded(4) * largest)
        }
    }

    @Test("convolutions on one thread or several", arguments: Variant.convolving)
    func convolutionThreads(_ variant: Variant) throws {
        for (height, width) in [(9, 11), (40, 37), (70, 90)] {
            for upsample in [false, true] {
                let filter = Filter(
                    channels: 24, columns: 36,
                    geometry: ConvolutionGeometry(
                        height: height, width: width, upsample: upsample), layout: .winograd3x3,
                    groups: 4)
                func result(_ threads: Int) throws -> [UInt32] {
                    let backend = try variant.backend(threads: threads)
                    let values = run(filter, backend)
                    let normed = backend.groupNorm(
                        values, norm(36, 6, backend), precision: variant.precision)
                    return (backend.download(values) + read(normed, backend)).map(\.bitPattern)
                }
                let alone = try result(1)
                for threads in [2, 5] { #expect(try result(threads) == alone) }
            }
        }
    }

    @Test("results of convolutions do not depend on bands", arguments: Variant.convolving)
    func bands(_ variant: Variant) throws {
        let backend = try variant.backend()
        // Wide enough that a few lines fill a band; one row more must not change the others.
        let width = 60_000
        for (stride, kernel) in [(1, 3), (2, 3), (1, 1)] {
            func rows(_ height: Int) -> [Float] {
                backend.download(
                    run(
                        Filter(
                            channels: 4, columns: 2,
                            geometry: ConvolutionGeometry(
                                height: height, width: width, kernel: kernel, stride: stride,
                                padding: stride == 2 ? 0 : nil), layout: .stacked, groups: 0),
                        backend))
            }
            // Below the size of a band, and more than twice above it; the last row reads the padding.
            let (few, many) = (rows(8), rows(40))
            let count = (8 / stride - 1) * width / stride * 2
            // Residuals are generated in order: the first rows are equal.
            #expect(few.prefix(count).elementsEqual(many.prefix(count)))
        }
    }
}
