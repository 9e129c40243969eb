// Part of Inkstone. Licence: see LICENSE.

import CKernels

/// An adapter's change of one weight matrix, packed in panels.
public final class CPUAdapter: @unchecked Sendable {
    // Unchecked: never written after initialisation.

    /// Low-rank terms of all parts: `down` projects the rows, `up` is multiplied with the result.
    struct LowRank {
        let down: CPUWeights
        let up: UnsafeMutableRawPointer
        let table: UnsafeMutablePointer<ink_adapter_panel>
        let precision: Precision
        let bytes: Int
    }

    let columns: Int
    let depth: Int
    /// Columns, rounded up to whole panels.
    let panelRows: Int
    let lowRank: LowRank?
    let gain: CPUVector?
    let fullRank: CPUWeights?
    let bias: CPUVector?

    init(
        columns: Int, depth: Int, panelRows: Int, lowRank: LowRank?, gain: CPUVector?,
        fullRank: CPUWeights?, bias: CPUVector?
    ) {
        self.columns = columns
        self.depth = depth
        self.panelRows = panelRows
        self.lowRank = lowRank
        self.gain = gain
        self.fullRank = fullRank
        self.bias = bias
    }

    deinit {
        lowRank?.up.deallocate()
        lowRank?.table.deallocate()
    }

    /// Memory occupied.
    package var bytes: Int {
        (lowRank.map { $0.bytes + $0.down.bytes } ?? 0) + (fullRank?.bytes ?? 0)
            + (gain == nil ? 0 : panelRows * 4) + (bias == nil ? 0 : panelRows * 4)
    }
}

extension CPUBackend {
    /// See `Backend`.
    public func bytes(of adapter: CPUAdapter) -> Int { adapter.bytes }

    /// See `Backend`.
    public func makeAdapter(_ source: AdapterSource, precision: Precision) -> CPUAdapter {
        let order = panelOrder(parts: source.parts, isGated: source.layout == .gated)
        func spread(_ numbers: [Float]) -> [Float] { order.map { $0 < 0 ? 0 : numbers[$0] } }
        var fullRank: CPUWeights?
        if let numbers = source.fullRank {
            let depth = source.depth
            precondition(numbers.count == source.parts.reduce(0, +) * depth, "full-rank change")
            var rows: [Float] = []
            rows.reserveCapacity(order.count * depth)
            for index in order {
                if index < 0 {
                    rows += repeatElement(0, count: depth)
                } else {
                    rows += numbers[(index * depth)..<((index + 1) * depth)]
                }
            }
            fullRank = makeWeights(
                MatrixSource(
                    [StoredRows(rows, rows: order.count, depth: depth)],
                    bias: source.bias.map(spread)), precision: precision)
        }
        return CPUAdapter(
            columns: source.parts.reduce(0, +), depth: source.depth, panelRows: order.count,
            lowRank: source.lowRank.isEmpty
                ? nil : makeLowRank(source, order: order, precision: precision),
            gain: source.gain.map { makeVector(spread($0)) }, fullRank: fullRank,
            bias: fullRank == nil ? source.bias.map { makeVector(spread($0)) } : nil)
    }

    /// Returns the precision of an adapter's products: for int8, bf16 if native, else f32.
    private func adapterPrecision(_ precision: Precision) -> Precision {
        precision == .int8 ? (kernels.pointee.native_bf16 != 0 ? .bf16 : .f32) : precision
    }

    private func makeLowRank(
        _ source: AdapterSource, order: [Int], precision: Precision
    ) -> CPUAdapter.LowRank {
        let factorPrecision = adapterPrecision(precision)
        // The terms occupy consecutive ranges of ranks, of even length, since bf16 ranks come in pairs.
        var starts: [Int] = []
        var total = 0
        for part in source.lowRank {
            starts.append(total)
            total += (part.rank + 1) / 2 * 2
        }
        var down = [Float](repeating: 0, count: total * source.depth)
        for (part, start) in zip(source.lowRank, starts) {
            precondition(part.down.count == part.rank * source.depth, "down")
            down.replaceSubrange(
                (start * source.depth)..<((start + part.rank) * source.depth), with: part.down)
        }
        var up = [Float](repeating: 0, count: order.count * total)
        let width = 2 * lanes
        var ranges: [Range<Int>] = []
        for panel in 0..<(order.count / width) {
            var range: Range<Int>?
            for column in (panel * width)..<((panel + 1) * width) where order[column] >= 0 {
                for (part, start) in zip(source.lowRank, starts)
                where part.outputs.contains(order[column]) {
                    let row = (order[column] - part.outputs.lowerBound) * part.rank
                    for rank in 0..<part.rank {
                        up[column * total + start + rank] += part.up[row + rank]
                    }
                    let own = start..<(start + (part.rank + 1) / 2 * 2)
                    range =
                        range.map {
                            min($0.lowerBound, own.lowerBound)..<max($0.upperBound, own.upperBound)
                        } ?? own
                }
            }
            ranges.append(range ?? 0..<0)
        }
        let packed = packUp(up, rowLength: total, ranges: ranges, precision: factorPrecision)
        return CPUAdapter.LowRank(
            down: makeWeights(
                MatrixSource([StoredRows(down, rows: total, depth: source.depth)]),
                precision: precision),
            up: packed.up, table: packed.table, precision: factorPrecision, bytes: packed.bytes)
    }

    /// Packs `up`, `[columns, rowLength]`, with only the ranks in `ranges` for each panel.
    private func packUp(
        _ up: [Float], rowLength: Int, ranges: [Range<Int>], precision: Precision
    ) -> (up: UnsafeMutableRawPointer, table: UnsafeMutablePointer<ink_adapter_panel>, bytes: Int) {
        let width = 2 * lanes
        let pair = precision == .bf16 ? 2 : 1
        let words = ranges.reduce(0) { $0 + $1.count / pair * width }
        let bytes = max(64, words * 4)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
        let table = UnsafeMutablePointer<ink_adapter_panel>.allocate(capacity: max(1, ranges.count))
        var offset = 0
        up.withUnsafeBufferPointer { numbers in
            guard let base = numbers.baseAddress else { return }
            for (panel, range) in ranges.enumerated() {
                (table + panel).initialize(
                    to: ink_adapter_panel(
                        offset: UInt32(offset), first: UInt32(range.lowerBound / pair),
                        steps: UInt32(range.count / pair)))
                if range.isEmpty { continue }
                let rows: [UnsafeRawPointer?] = (0..<width).map { column in
                    UnsafeRawPointer(
                        base + (panel * width + column) * rowLength + range.lowerBound)
                }
                rows.withUnsafeBufferPointer { rows in
                    guard let start = rows.baseAddress else { return }
                    var pack = ink_pack(
                        rows: start, row_count: width, source: INK_SOURCE_F32,
                        depth: range.count, taps: 1, panel_width: width,
                        precision: precision.kernelValue, destination: memory + offset * 4)
                    kernels.pointee.pack(threadPool, &pack)
                }
                offset += range.count / pair * width
            }
        }
        return (memory, table, bytes)
    }
}
