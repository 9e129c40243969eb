// Part of Inkstone. Licence: see LICENSE.

public import Tensors

extension VulkanBackend {
    /// Pixels whose mean and variance one workgroup computes.
    private static let normPixels = 256

    /// See `Backend`.
    public func convolve(
        _ input: VulkanValues, norm: GroupNorm<VulkanBackend>?, _ weights: VulkanWeights,
        geometry: ConvolutionGeometry, adding residual: VulkanValues?, reusing: Bool
    ) -> VulkanValues {
        let rows = geometry.outputHeight * geometry.outputWidth
        precondition(
            input.rows == geometry.height * geometry.width && input.columns == weights.depth
                && weights.taps == geometry.kernel * geometry.kernel
                && weights.precision != .int8, "convolution shapes")
        if let residual {
            precondition(residual.rows == rows && residual.columns == weights.columns, "residual")
        }
        let image = image(input, norm: norm, precision: weights.precision)
        // Every number of the residual is read just before its place is written.
        let memory = reusing ? residual?.buffer : nil
        let result = VulkanValues(
            rows: rows, columns: weights.columns,
            in: memory ?? buffer(bytes: rows * weights.columns * 4))
        let product = ProductArguments(
            a: image, weights: weights, rows: rows, residual: residual?.buffer,
            target: result.buffer, stride: result.columns)
        var push = product.push
        push.add(geometry.height)
        push.add(geometry.width)
        push.add(geometry.outputWidth)
        push.add(
            geometry.kernel | geometry.stride << 8 | geometry.padding << 16
                | (geometry.upsample ? 1 << 24 : 0))
        let kernel = kernel(.convolution, weights.precision, rows: rows)
        dispatch(
            kernel.kernel, push: push, groups: kernel.groups(rows: rows, columns: weights.rows),
            reads: product.reads, writes: [result.buffer], work: kernel.work(rows: rows, weights))
        return result
    }

    /// See `Backend`.
    public func groupNorm(
        _ x: VulkanValues, _ norm: GroupNorm<VulkanBackend>, precision: Precision
    ) -> VulkanOperand {
        precondition(precision != .int8, "groupNorm feeds convolutions, which are not in int8")
        // A product reads a scale for each row, an image has one for all.
        return rounded(image(x, norm: norm, precision: .f32), precision)
    }

    /// Converts an image to an operand, normalised if `norm` is given; in f16 it has one scale.
    private func image(
        _ x: VulkanValues, norm: GroupNorm<VulkanBackend>?, precision: Precision
    ) -> VulkanOperand {
        let isHalf = precision != .f32
        let result = VulkanOperand(
            rows: x.rows, columns: x.columns, precision: precision,
            in: buffer(bytes: x.rows * paddedRow(x.columns) * precision.bytesPerWeight),
            scales: isHalf ? buffer(bytes: 4) : nil)
        let factors = norm.map { self.factors(of: x, $0) }
        // Normalised values are bounded.
        let largest = isHalf && norm == nil ? largest(of: x) : nil
        var push = PushBytes()
        push.add(x.buffer)
        push.add(factors)
        if let scale = result.scales {
            push.add(largest)
            push.add(scale)
        }
        push.add(result.buffer)
        push.add(x.rows)
        push.add(x.columns)
        push.add(result.stride)
        push.add(norm?.silu == true ? 1 : 0)
        let count = x.rows * result.stride
        dispatch(
            Kernel(isHalf ? "group_apply_f16" : "group_apply_f32"), push: push,
            groups: elementGrid(isHalf ? (count + 1) / 2 : count),
            reads: [x.buffer, factors, largest],
            writes: result.buffers)
        return result
    }

    /// Returns the bits of the largest magnitude of an image.
    private func largest(of x: VulkanValues) -> DeviceBuffer {
        let word = buffer(bytes: 4)
        device.recorder.fill(word, word: 0)
        var push = PushBytes()
        push.add(x.buffer)
        push.add(word)
        push.add(x.count)
        dispatch(
            Kernel("largest"), push: push, groups: grid((x.count + 4095) / 4096), reads: [x.buffer],
            writes: [word])
        return word
    }

    /// Returns a group norm as one factor and one summand a channel.
    private func factors(of x: VulkanValues, _ norm: GroupNorm<VulkanBackend>) -> DeviceBuffer {
        let channels = x.columns
        precondition(
            norm.weight.count == channels && norm.bias.count == channels
                && channels.isMultiple(of: norm.groups), "group norm")
        let blocks = (x.rows + Self.normPixels - 1) / Self.normPixels
        let stats = buffer(bytes: blocks * norm.groups * 3 * 4)
        var push = PushBytes()
        push.add(x.buffer)
        push.add(stats)
        push.add(x.rows)
        push.add(channels)
        push.add(norm.groups)
        push.add(Self.normPixels)
        dispatch(
            Kernel("group_stats"), push: push, groups: (blocks, norm.groups, 1), reads: [x.buffer],
            writes: [stats])
        let result = buffer(bytes: 2 * channels * 4)
        push = PushBytes()
        push.add(stats)
        push.add(norm.weight.buffer)
        push.add(norm.bias.buffer)
        push.add(result)
        push.add(guardRing.buffer, at: guardRing.offset)
        push.add(blocks)
        push.add(channels)
        push.add(norm.groups)
        push.add(norm.epsilon)
        dispatch(
            Kernel("group_factors"), push: push, groups: (norm.groups, 1, 1),
            reads: [stats, norm.weight.buffer, norm.bias.buffer], writes: [result],
            isGuarded: true)
        return result
    }
}
