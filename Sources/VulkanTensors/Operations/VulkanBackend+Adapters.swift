// Part of Inkstone. Licence: see LICENSE.

public import Tensors

/// An adapter's change of one weight matrix, on a device.
public final class VulkanAdapter: Sendable {
    /// Columns of the product before gating.
    let rows: Int
    let depth: Int
    /// `[rank, depth]`; ranks of all low-rank terms, one after the other.
    let down: VulkanWeights?
    /// `[rows, rank]`, with zeros where a term does not change a column.
    let up: VulkanWeights?
    let gain: DeviceBuffer?
    let fullRank: VulkanWeights?
    /// In the order of the matrix's rows.
    let bias: [Float]?

    init(
        rows: Int, depth: Int, down: VulkanWeights?, up: VulkanWeights?, gain: DeviceBuffer?,
        fullRank: VulkanWeights?, bias: [Float]?
    ) {
        self.rows = rows
        self.depth = depth
        self.down = down
        self.up = up
        self.gain = gain
        self.fullRank = fullRank
        self.bias = bias
    }

    var bytes: Int {
        (down?.bytes ?? 0) + (up?.bytes ?? 0) + (gain?.bytes ?? 0) + (fullRank?.bytes ?? 0)
            + (bias?.count ?? 0) * 4
    }
}

extension VulkanBackend {
    /// See `Backend`.
    public func bytes(of adapter: VulkanAdapter) -> Int { adapter.bytes }

    /// See `Backend`.
    public func makeAdapter(_ source: AdapterSource, precision: Precision) -> VulkanAdapter {
        let rows = source.parts.reduce(0, +)
        let order = rowOrder(source)
        func ordered(_ numbers: [Float]) -> [Float] { order.map { numbers[$0] } }
        func matrix(
            _ numbers: [Float], rows: Int, depth: Int, _ precision: Precision
        ) -> VulkanWeights {
            makeWeights(
                MatrixSource([StoredRows(numbers, rows: rows, depth: depth)]), precision: precision)
        }
        let depth = source.depth
        let fullRank = source.fullRank.map { numbers in
            precondition(numbers.count == rows * depth, "full-rank change")
            return matrix(
                order.flatMap { numbers[($0 * depth)..<(($0 + 1) * depth)] }, rows: rows,
                depth: depth, precision)
        }
        let rank = source.lowRank.reduce(0) { $0 + $1.rank }
        var down: [Float] = []
        var up = [Float](repeating: 0, count: rows * rank)
        for term in source.lowRank {
            precondition(term.down.count == term.rank * depth, "down")
            let first = down.count / depth
            down += term.down
            for (place, feature) in order.enumerated() where term.outputs.contains(feature) {
                let row = (feature - term.outputs.lowerBound) * term.rank
                for index in 0..<term.rank {
                    up[place * rank + first + index] = term.up[row + index]
                }
            }
        }
        return VulkanAdapter(
            rows: rows, depth: depth,
            down: rank == 0 ? nil : matrix(down, rows: rank, depth: depth, precision),
            up: rank == 0
                ? nil
                : matrix(
                    up, rows: rows, depth: rank, precision == .int8 ? .bf16 : precision),
            gain: source.gain.map { upload(ordered($0)) }, fullRank: fullRank,
            bias: source.bias.map(ordered))
    }

    /// Returns the output feature of each row of the matrix: those of gated parts alternate.
    private func rowOrder(_ source: AdapterSource) -> [Int] {
        let rows = source.parts.reduce(0, +)
        guard source.layout == .gated else { return Array(0..<rows) }
        return (0..<rows).map { $0 / 2 + $0 % 2 * (rows / 2) }
    }

    /// Returns the sums of a product, `[rows, weights.rows]`, without what is added to them.
    func plainSums(_ a: VulkanOperand, _ weights: VulkanWeights) -> DeviceBuffer {
        let sums = buffer(bytes: a.rows * weights.rows * 4)
        multiply(
            ProductArguments(
                a: a, weights: weights.ungated, rows: a.rows, hasBias: false, target: sums,
                stride: weights.rows))
        return sums
    }

    /// Returns what adapters add to the sums of a product, `[rows, weights.rows]`; gains multiply `sums`.
    func adapterTerms(
        of sums: DeviceBuffer?, _ a: VulkanOperand, _ weights: VulkanWeights,
        _ runs: [AdapterRun<VulkanBackend>]
    ) -> DeviceBuffer {
        let width = weights.rows
        let terms = buffer(bytes: a.rows * width * 4)
        // Low-rank terms that cover all rows, such as those of a single request, are written and need no zeros.
        let isCovered = coversOnce(runs, rows: a.rows)
        if !isCovered { device.recorder.fill(terms, word: 0) }
        for run in runs {
            let adapter = run.adapter
            precondition(
                adapter.rows == width && adapter.depth == a.columns && run.rows.lowerBound >= 0
                    && run.rows.upperBound <= a.rows,
                "adapter [\(adapter.rows), \(adapter.depth)] for rows \(run.rows)")
            let region = (buffer: terms, offset: run.rows.lowerBound * width * 4)
            addGain(run, of: sums, to: region, width: width)
            addFullRank(run, a, to: region, width: width)
            addLowRank(run, a, to: region, width: width, isFirst: isCovered)
        }
        return terms
    }

    /// Whether each row has exactly one low-rank term, and nothing else.
    private func coversOnce(_ runs: [AdapterRun<VulkanBackend>], rows: Int) -> Bool {
        var end = 0
        for run in runs.sorted(by: { $0.rows.lowerBound < $1.rows.lowerBound }) {
            let adapter = run.adapter
            guard run.rows.lowerBound == end, adapter.up != nil, adapter.gain == nil,
                adapter.fullRank == nil, adapter.bias == nil
            else { return false }
            end = run.rows.upperBound
        }
        return end == rows
    }

    private typealias Region = (buffer: DeviceBuffer, offset: Int)

    private func addGain(
        _ run: AdapterRun<VulkanBackend>, of sums: DeviceBuffer?, to region: Region, width: Int
    ) {
        guard let gain = run.adapter.gain, let sums else { return }
        var push = PushBytes()
        push.add(sums, at: region.offset)
        push.add(gain)
        push.add(region.buffer, at: region.offset)
        push.add(run.rows.count)
        push.add(width)
        push.add(run.scale)
        dispatch(
            Kernel("adapt"), push: push, groups: elementGrid(run.rows.count * width),
            reads: [sums, gain],
            writes: [region.buffer])
    }

    /// Adds `scale * (a · fullRank + bias)`.
    private func addFullRank(
        _ run: AdapterRun<VulkanBackend>, _ a: VulkanOperand, to region: Region, width: Int
    ) {
        let adapter = run.adapter
        guard adapter.fullRank != nil || adapter.bias != nil else { return }
        let rows = run.rows.count
        var change: DeviceBuffer?
        if let fullRank = adapter.fullRank {
            let product = buffer(bytes: rows * width * 4)
            multiply(
                ProductArguments(
                    a: a, weights: fullRank, rows: rows, firstRow: run.rows.lowerBound,
                    target: product, stride: width))
            transform(
                product, .scale, count: rows * width, columns: width, parameter: run.scale)
            change = product
        }
        let bias = adapter.bias.map { bias in upload(bias.map { $0 * run.scale }) }
        finish(
            region, rows: rows, columns: width, addend: change, bias: bias, residual: nil,
            isGated: false, to: region, stride: width)
    }

    /// Adds `scale * (a · down) · up`, or writes it as the first term.
    private func addLowRank(
        _ run: AdapterRun<VulkanBackend>, _ a: VulkanOperand, to region: Region, width: Int,
        isFirst: Bool
    ) {
        guard let down = run.adapter.down, let up = run.adapter.up else { return }
        let projected = buffer(bytes: run.rows.count * down.rows * 4)
        multiply(
            ProductArguments(
                a: a, weights: down, rows: run.rows.count, firstRow: run.rows.lowerBound,
                target: projected, stride: down.rows))
        let t = operand(
            projected, rows: run.rows.count, columns: down.rows, stride: down.rows,
            factor: run.scale,
            precision: up.precision)
        multiply(
            ProductArguments(
                a: t, weights: up, rows: t.rows, residual: isFirst ? nil : region.buffer,
                residualOffset: isFirst ? 0 : region.offset, target: region.buffer,
                targetOffset: region.offset,
                stride: width))
    }

    /// Completes stored sums of a product: adds what adapters add, the bias and the residual, and gates.
    func finish(
        _ sums: DeviceBuffer, rows: Int, terms: DeviceBuffer, _ weights: VulkanWeights,
        residual: DeviceBuffer?, to target: DeviceBuffer, stride: Int
    ) {
        finish(
            (sums, 0), rows: rows, columns: weights.rows, addend: terms,
            bias: weights.bias, residual: residual, isGated: weights.isGated, to: (target, 0),
            stride: stride)
    }

    private func finish(
        _ sums: Region, rows: Int, columns: Int, addend: DeviceBuffer?, bias: DeviceBuffer?,
        residual: DeviceBuffer?, isGated: Bool, to target: Region, stride: Int
    ) {
        var push = PushBytes()
        push.add(sums.buffer, at: sums.offset)
        push.add(addend)
        push.add(bias)
        push.add(residual)
        push.add(target.buffer, at: target.offset)
        push.add(rows)
        push.add(columns)
        push.add(stride)
        dispatch(
            Kernel("finish", constants: [isGated ? 1 : 0]), push: push,
            groups: elementGrid(rows * stride),
            reads: [sums.buffer, addend, bias, residual], writes: [target.buffer])
    }
}
