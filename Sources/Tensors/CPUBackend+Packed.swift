// Part of Inkstone. Licence: see LICENSE.

import CKernels

extension CPUBackend {
    /// Incremented with every change of the panels' content or order.
    private static let panelVersion = 2

    /// Everything that the panels of a model depend on: kernels, precision, width, version.
    public var packedForm: String? {
        "\(kernelsName) \(precision.rawValue) \(lanes) panels \(Self.panelVersion)"
    }

    /// See `Backend`.
    public func packed(_ weights: CPUWeights) -> PackedMatrix? {
        let matrix = weights.matrix
        var blobs = ["panels": UnsafeRawBufferPointer(start: matrix.panels, count: weights.bytes)]
        if let bias = matrix.bias {
            blobs["bias"] = UnsafeRawBufferPointer(
                start: bias, count: panelRows(matrix.columns, isGated: false) * 4)
        }
        return PackedMatrix(
            numbers: [
                "columns": matrix.columns, "depth": matrix.depth, "taps": matrix.taps,
                "precision": Int(matrix.precision.rawValue), "gated": weights.isGated ? 1 : 0,
            ], blobs: blobs, owner: weights)
    }

    /// See `Backend`; sizes are validated, since they come from a file.
    public func makeWeights(_ packed: PackedMatrix, placement: WeightPlacement) -> CPUWeights? {
        let limit = 1 << 28
        guard let columns = packed.numbers["columns"], let depth = packed.numbers["depth"],
            let taps = packed.numbers["taps"], let stored = packed.numbers["precision"],
            let gated = packed.numbers["gated"], let panels = packed.blobs["panels"],
            let precision = Precision.allCases.first(where: {
                Int($0.kernelValue.rawValue) == stored
            }),
            let start = panels.baseAddress, UInt(bitPattern: start).isMultiple(of: 64),
            (1...limit).contains(columns), (1...limit).contains(depth), (1...64).contains(taps),
            gated == 0 || columns.isMultiple(of: 2),
            precision != .int8 || depth <= longestInt8Row
        else { return nil }
        let rows = panelRows(columns, isGated: gated != 0)
        let bias = packed.blobs["bias"]
        guard panels.count == ink_panel_bytes(rows, depth, taps, precision.kernelValue),
            bias == nil || bias?.count == rows * 4
        else { return nil }
        let matrix = ink_matrix(
            panels: start, bias: bias?.baseAddress?.assumingMemoryBound(to: Float.self),
            columns: columns, depth: depth, taps: taps, precision: precision.kernelValue)
        return CPUWeights(
            matrix, bytes: panels.count, isGated: gated != 0, mappedBy: packed.owner)
    }

    /// Returns the columns of a matrix rounded up to whole panels.
    private func panelRows(_ columns: Int, isGated: Bool) -> Int {
        let unit = isGated ? lanes : 2 * lanes
        let height = isGated ? columns / 2 : columns
        return (height + unit - 1) / unit * unit * (isGated ? 2 : 1)
    }
}
