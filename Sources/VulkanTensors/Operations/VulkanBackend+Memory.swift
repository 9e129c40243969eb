// Part of Inkstone. Licence: see LICENSE.

import Tensors

extension VulkanBackend {
    /// See `Backend`.
    public func makeValues(rows: Int, columns: Int) -> VulkanValues {
        VulkanValues(rows: rows, columns: columns, in: buffer(bytes: rows * columns * 4))
    }

    /// See `Backend`.
    public func upload(_ numbers: [Float], rows: Int, columns: Int) -> VulkanValues {
        precondition(numbers.count == rows * columns, "upload: \(numbers.count) numbers")
        return VulkanValues(rows: rows, columns: columns, in: upload(numbers))
    }

    /// See `Backend`; the numbers are zero after a failure.
    public func download(_ values: VulkanValues) -> [Float] {
        // What is thrown is the recorder's failure as well.
        (try? device.recorder.download(values.buffer, count: values.count, as: Float.self))
            ?? [Float](repeating: 0, count: values.count)
    }

    /// See `Backend`.
    public func makeVector(_ numbers: [Float]) -> VulkanVector {
        VulkanVector(count: numbers.count, in: upload(numbers))
    }

    /// See `Backend`.
    public func copyRows(
        _ range: Range<Int>, of source: VulkanValues, to target: VulkanValues, at row: Int
    ) {
        precondition(
            source.columns == target.columns && range.upperBound <= source.rows
                && row + range.count <= target.rows, "copyRows: shapes")
        let width = source.columns * 4
        device.recorder.copy(
            source.buffer, at: range.lowerBound * width, to: target.buffer, at: row * width,
            bytes: range.count * width)
    }

    /// See `Backend`.
    public func addRows(
        _ range: Range<Int>, of source: VulkanValues, scale: Float, to target: VulkanValues,
        at row: Int
    ) {
        precondition(
            source.columns == target.columns && range.upperBound <= source.rows
                && row + range.count <= target.rows && source.buffer !== target.buffer,
            "addRows: shapes")
        let (width, count) = (source.columns * 4, range.count * source.columns)
        guard count > 0 else { return }
        var push = PushBytes()
        push.add(target.buffer, at: row * width)
        push.add(source.buffer, at: range.lowerBound * width)
        push.add(count)
        push.add(scale)
        dispatch(
            Kernel("add_rows"), push: push, groups: elementGrid(count), reads: [source.buffer],
            writes: [target.buffer])
    }
}
