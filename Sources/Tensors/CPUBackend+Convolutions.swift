// Part of Inkstone. Licence: see LICENSE.

import CKernels

extension CPUBackend {
    /// Fewest input channels for which Winograd's F(2x2, 3x3) is faster than the direct convolution.
    static let winogradDepth = 16
    /// Bytes of an image that are converted to an operand at a time.
    private static let bandBytes = 16 << 20

    /// A norm as one multiply-add per channel.
    private struct ChannelFactors {
        let buffer: PooledBuffer
        let channels: Int
        let silu: Bool

        var factor: UnsafeMutablePointer<Float> {
            buffer.address.assumingMemoryBound(to: Float.self)
        }
        var shift: UnsafeMutablePointer<Float> { factor + channels }
    }

    /// See `Backend`.
    public func convolve(
        _ input: CPUValues, norm: GroupNorm<CPUBackend>?, _ weights: CPUWeights,
        geometry: ConvolutionGeometry, adding residual: CPUValues?, reusing: Bool
    ) -> CPUValues {
        let matrix = weights.matrix
        let rows = geometry.outputHeight * geometry.outputWidth
        let isWinograd = matrix.taps == Int(INK_WINOGRAD_TAPS)
        precondition(
            input.rows == geometry.height * geometry.width && input.columns == matrix.depth
                && matrix.precision != INK_INT8 && input.columns <= Int(INK_CONVOLUTION_MAX_DEPTH),
            "convolution shapes")
        precondition(
            isWinograd
                ? geometry.kernel == 3 && geometry.stride == 1 && geometry.padding == 1
                : matrix.taps == geometry.kernel * geometry.kernel, "convolution kernel")
        if let residual {
            precondition(residual.rows == rows && residual.columns == weights.columns, "residual")
        }
        let factors = norm.map { self.factors(of: input, $0) }
        var memory = reusing ? residual?.buffer : nil
        // A 1 x 1 convolution that does not widen writes only where it has read.
        if reusing, residual == nil, geometry.kernel == 1, geometry.stride == 1,
            !geometry.upsample, matrix.columns <= matrix.depth
        {
            memory = input.buffer
        }
        return isWinograd
            ? winograd(input, factors, matrix, geometry, residual, in: memory)
            : direct(input, factors, matrix, geometry, residual, in: memory)
    }

    private func winograd(
        _ input: CPUValues, _ factors: ChannelFactors?, _ matrix: ink_matrix,
        _ geometry: ConvolutionGeometry, _ residual: CPUValues?, in memory: PooledBuffer?
    ) -> CPUValues {
        let upsample: Int32 = geometry.upsample ? 1 : 0
        let tasks = ink_winograd_split(geometry.height, geometry.width, upsample)
        let result = CPUValues(
            rows: geometry.outputHeight * geometry.outputWidth, columns: matrix.columns, pool: pool,
            sumBlocks: tasks.count, in: memory)
        let scratch = PooledBuffer(
            bytes: kernels.pointee.winograd_scratch(Int32(threads), matrix.depth, matrix.precision),
            pool: pool)
        var call = ink_winograd(
            x: input.pointer, height: geometry.height, width: geometry.width,
            factor: factors.map { UnsafePointer($0.factor) },
            shift: factors.map { UnsafePointer($0.shift) }, silu: factors?.silu == true ? 1 : 0,
            upsample: upsample, weights: matrix,
            residual: residual.map { UnsafePointer($0.pointer) }, out: result.pointer,
            sums: result.sums?.address.assumingMemoryBound(to: Float.self),
            scratch: scratch.address)
        kernels.pointee.winograd(threadPool, &call)
        return result
    }

    /// Converts and multiplies by bands of rows; the result does not depend on the bands.
    private func direct(
        _ input: CPUValues, _ factors: ChannelFactors?, _ matrix: ink_matrix,
        _ geometry: ConvolutionGeometry, _ residual: CPUValues?, in memory: PooledBuffer?
    ) -> CPUValues {
        let (height, width) = (geometry.outputHeight, geometry.outputWidth)
        let result = CPUValues(
            rows: height * width, columns: matrix.columns, pool: pool, in: memory)
        let precision: Precision = matrix.precision == INK_BF16 ? .bf16 : .f32
        let lineBytes = geometry.width * input.columns * precision.bytesPerWeight
        let band =
            geometry.upsample ? height : max(8, Self.bandBytes / lineBytes / geometry.stride)
        for top in stride(from: 0, to: height, by: band) {
            let bottom = min(height, top + band)
            var (first, last) = (0, geometry.height)
            if !geometry.upsample {
                first = max(0, top * geometry.stride - geometry.padding)
                last = min(
                    last, (bottom - 1) * geometry.stride - geometry.padding + geometry.kernel)
            }
            let operand = self.operand(
                input, rows: (first * geometry.width)..<(last * geometry.width), factors, precision)
            let start = top * width * matrix.columns
            var call = ink_convolution(
                input: operand.input, height: last - first, width: geometry.width,
                kernel: geometry.kernel, stride: geometry.stride,
                pad_top: first + geometry.padding - top * geometry.stride,
                pad_left: geometry.padding, upsample: geometry.upsample ? 1 : 0,
                out_height: bottom - top, out_width: width, weights: matrix,
                residual: residual.map { UnsafePointer($0.pointer + start) },
                out: result.pointer + start)
            kernels.pointee.convolve(threadPool, &call)
        }
        return result
    }

    /// See `Backend`.
    public func groupNorm(
        _ x: CPUValues, _ norm: GroupNorm<CPUBackend>, precision: Precision
    ) -> CPUOperand {
        precondition(precision != .int8, "groupNorm feeds convolutions, which are not in int8")
        return operand(x, rows: 0..<x.rows, factors(of: x, norm), precision)
    }

    private func operand(
        _ x: CPUValues, rows: Range<Int>, _ factors: ChannelFactors?, _ precision: Precision
    ) -> CPUOperand {
        let result = CPUOperand(
            rows: rows.count, columns: x.columns, precision: precision, pool: pool)
        let start = x.pointer + rows.lowerBound * x.columns
        if let factors {
            var call = ink_group_apply(
                x: start, pixels: rows.count, channels: x.columns, factor: factors.factor,
                shift: factors.shift, silu: factors.silu ? 1 : 0, out: result.output)
            kernels.pointee.group_apply(threadPool, &call)
        } else {
            var call = ink_convert(
                x: start, from: INK_F32, rows: rows.count, columns: x.columns, stride: x.columns,
                scale: 1, out: result.output)
            kernels.pointee.convert(threadPool, &call)
        }
        return result
    }

    private func factors(of x: CPUValues, _ norm: GroupNorm<CPUBackend>) -> ChannelFactors {
        let channels = x.columns
        precondition(
            norm.weight.count == channels && norm.bias.count == channels
                && channels.isMultiple(of: norm.groups), "group norm")
        let result = ChannelFactors(
            buffer: PooledBuffer(bytes: 2 * channels * 4, pool: pool), channels: channels,
            silu: norm.silu)
        let scratch =
            x.sums == nil
            ? PooledBuffer(bytes: ink_group_norm_scratch(x.rows, channels), pool: pool) : nil
        var call = ink_group_norm(
            x: x.pointer, pixels: x.rows, channels: channels, groups: norm.groups,
            weight: norm.weight.pointer, bias: norm.bias.pointer, epsilon: norm.epsilon,
            sums: x.sums.map { UnsafePointer($0.address.assumingMemoryBound(to: Float.self)) },
            blocks: x.sumBlocks, factor: result.factor, shift: result.shift,
            scratch: scratch?.address, non_finite: guardSlot)
        withExtendedLifetime(scratch) { kernels.pointee.group_norm(threadPool, &call) }
        return result
    }
}
