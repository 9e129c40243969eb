// Part of Inkstone. Licence: see LICENSE.

/// Decodes numbers that are not stored individually: blocks that share a scale, or bytes with a
/// separate scale.
///
/// Numbers are decoded in units: a block or a row. A conformer does not check the number of bytes;
/// its creator does.
package protocol TensorCoding: Sendable {
    /// Name for messages, such as `Q4_K`.
    var name: String { get }
    /// Number of values that are decoded together; at least 1.
    var unit: Int { get }
    /// Decodes a range of units of `bytes` to f32.
    ///
    /// `numbers` has space for exactly these units.
    func decode(
        _ bytes: UnsafeRawBufferPointer, units: Range<Int>,
        into numbers: UnsafeMutablePointer<Float>)
}

extension TensorCoding {
    /// The numbers of a row-major range.
    func numbers(in range: Range<Int>, of bytes: UnsafeRawBufferPointer) -> [Float] {
        [Float](unsafeUninitializedCapacity: range.count) { buffer, filled in
            write(range, of: bytes, to: buffer)
            filled = range.count
        }
    }

    /// Writes the numbers of a row-major range that fits into `buffer`.
    func write(
        _ range: Range<Int>, of bytes: UnsafeRawBufferPointer,
        to buffer: UnsafeMutableBufferPointer<Float>
    ) {
        guard let target = buffer.baseAddress, !range.isEmpty else { return }
        let units = (range.lowerBound / unit)..<((range.upperBound + unit - 1) / unit)
        let start = units.lowerBound * unit
        guard start == range.lowerBound, units.upperBound * unit == range.upperBound else {
            // Partially requested units are decoded in full first.
            let whole = numbers(in: start..<(units.upperBound * unit), of: bytes)
            _ = buffer.initialize(
                from: whole[(range.lowerBound - start)..<(range.upperBound - start)])
            return
        }
        spread(units) { part in
            decode(bytes, units: part, into: target + (part.lowerBound * unit - start))
        }
    }

    /// Runs `body` on ranges of units concurrently.
    private func spread(_ units: Range<Int>, _ body: (Range<Int>) -> Void) {
        // A smaller part is decoded faster than a thread wakes up.
        let least = max(1, (1 << 16) / unit)
        let parts = min(64, units.count / least)
        guard parts > 1 else { return body(units) }
        concurrently(parts) { part in
            let first = units.lowerBound + units.count * part / parts
            let last = units.lowerBound + units.count * (part + 1) / parts
            body(first..<last)
        }
    }
}
