// Part of Inkstone. Licence: see LICENSE.

public import Tensors

extension VulkanBackend {
    /// Queries that a workgroup of the plain kernel computes.
    private static let plainQueries = 8

    /// See `Backend`.
    public func attention(
        _ qkv: VulkanValues, _ shape: AttentionShape, segments: Segments, queries: Segments
    ) -> VulkanOperand {
        rounded(attend(qkv, shape, segments: segments, queries: queries), shape.precision)
    }

    /// Returns attention as an f32 operand.
    func attend(
        _ qkv: VulkanValues, _ shape: AttentionShape, segments: Segments, queries: Segments
    ) -> VulkanOperand {
        precondition(
            qkv.columns == (shape.heads + 2 * shape.keyValueHeads) * shape.headDim
                && segments.rows == qkv.rows && queries.count == segments.count
                && (0..<queries.count).allSatisfy {
                    let (requested, all) = (queries.range($0).count, segments.range($0).count)
                    return shape.causal ? requested == all : requested <= all
                }, "attention shapes")
        let result = makeOperand(
            rows: queries.rows, columns: shape.heads * shape.headDim, precision: .f32)
        if queries.rows == 0 { return result }
        if shape.precision != .f32,
            let kernel = AttentionKernel(headDim: shape.headDim, on: device.facts, matrices)
        {
            attendInMatrices(qkv, shape, segments, queries, kernel, to: result)
        } else {
            attendWithoutMatrices(qkv, shape, segments, queries, to: result)
        }
        return result
    }

    private func attendWithoutMatrices(
        _ qkv: VulkanValues, _ shape: AttentionShape, _ segments: Segments, _ queries: Segments,
        to result: VulkanOperand
    ) {
        let (wide, narrow) = (shape.heads * shape.headDim, shape.keyValueHeads * shape.headDim)
        let tiles = indices.tiles(segments, queries: queries, size: Self.plainQueries, self)
        var push = PushBytes()
        push.add(qkv.buffer)
        push.add(tiles.buffer)
        push.add(result.buffer)
        push.add(qkv.columns)
        push.add(result.stride)
        push.add(shape.heads)
        push.add(shape.heads / shape.keyValueHeads)
        push.add(wide)
        push.add(wide + narrow)
        push.add(shape.causal ? 1 : 0)
        push.add(1 / Float(shape.headDim).squareRoot())
        dispatch(
            AttentionKernel.plain(headDim: shape.headDim), push: push,
            groups: (tiles.count, shape.heads, 1), reads: [qkv.buffer, tiles.buffer],
            writes: [result.buffer], work: work(shape, segments, queries, .f32))
    }

    /// Converts queries, keys and values to f16, scaled by a power of two for each head of each
    /// sequence, and multiplies them with matrix instructions.
    private func attendInMatrices(
        _ qkv: VulkanValues, _ shape: AttentionShape, _ segments: Segments, _ queries: Segments,
        _ kernel: AttentionKernel, to result: VulkanOperand
    ) {
        let heads = shape.heads + 2 * shape.keyValueHeads
        let sequences = indices.sequences(segments, self)
        let largest = buffer(bytes: segments.count * heads * 4)
        device.recorder.fill(largest, word: 0)
        findLargest(qkv, shape, sequences, to: largest)
        // Fragments of the last queries read past the last token.
        let factors = buffer(bytes: (qkv.rows + kernel.queries) * qkv.columns * 2)
        prepare(qkv, shape, sequences, largest, to: factors)
        let tiles = indices.tiles(segments, queries: queries, size: kernel.queries, self)
        var push = PushBytes()
        push.add(factors)
        push.add(tiles.buffer)
        push.add(largest)
        push.add(result.buffer)
        push.add(qkv.columns)
        push.add(result.stride)
        push.add(shape.heads)
        push.add(shape.heads / shape.keyValueHeads)
        push.add(shape.causal ? 1 : 0)
        dispatch(
            kernel.kernel, push: push,
            groups: (tiles.count, shape.heads, 1), reads: [factors, tiles.buffer, largest],
            writes: [result.buffer], work: work(shape, segments, queries, .f16))
    }

    /// The products of queries with keys and of weights with values.
    private func work(
        _ shape: AttentionShape, _ segments: Segments, _ queries: Segments,
        _ numbers: KernelWork.Numbers
    ) -> KernelWork {
        let pairs = (0..<segments.count).reduce(0) { sum, index in
            let (asked, all) = (queries.range(index).count, segments.range(index).count)
            return sum + (shape.causal ? all * (all + 1) / 2 : asked * all)
        }
        return KernelWork(numbers, operations: 4 * pairs * shape.heads * shape.headDim)
    }

    /// Finds the largest magnitude of each head of each sequence.
    private func findLargest(
        _ qkv: VulkanValues, _ shape: AttentionShape, _ sequences: DeviceBuffer,
        to largest: DeviceBuffer
    ) {
        let heads = shape.heads + 2 * shape.keyValueHeads
        var push = PushBytes()
        push.add(qkv.buffer)
        push.add(sequences)
        push.add(largest)
        push.add(qkv.rows)
        push.add(qkv.columns)
        push.add(0)
        push.add(heads)
        push.add(shape.headDim)
        push.add(heads)
        dispatch(
            Kernel("head_largest"), push: push,
            groups: ((qkv.rows + 15) / 16, (heads + 7) / 8, 1), reads: [qkv.buffer, sequences],
            writes: [largest])
    }

    private func prepare(
        _ qkv: VulkanValues, _ shape: AttentionShape, _ sequences: DeviceBuffer,
        _ largest: DeviceBuffer, to factors: DeviceBuffer
    ) {
        let heads = shape.heads + 2 * shape.keyValueHeads
        // Exponentials are computed as powers of two.
        let log2e: Float = 1.442_695_040_888_963_4
        var push = PushBytes()
        push.add(qkv.buffer)
        push.add(sequences)
        push.add(largest)
        push.add(factors)
        push.add(qkv.rows)
        push.add(shape.heads)
        push.add(shape.keyValueHeads)
        push.add(shape.headDim)
        push.add(log2e / Float(shape.headDim).squareRoot())
        dispatch(
            Kernel("prepare"), push: push, groups: grid((qkv.rows * heads + 7) / 8),
            reads: [qkv.buffer, sequences, largest], writes: [factors])
    }
}
