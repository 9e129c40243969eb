// Part of Inkstone. Licence: see LICENSE.

/// Unicode normalisation form C, on UTF-8.
///
/// Foundation's own is not used: on Linux it composes `U+10041` with a following acute accent to
/// `Á`, it knows marks that the reference library does not, and it is slower than this.
///
/// - Source: Unicode Standard Annex #15; `CompositionTests` compares with the reference library
///   over every scalar.
package enum Composition {
    /// Returns the composed form of a text.
    package static func composed(_ text: String) -> String {
        let bytes = Array(text.utf8)
        var output: [UInt8] = []
        append(bytes.span, 0..<bytes.count, to: &output)
        return String(decoding: output, as: UTF8.self)
    }

    /// Appends the composed form of `bytes[range]` to `output`.
    ///
    /// Text without marks is copied. A run of unstable scalars is composed together with the one stable
    /// scalar before it: composition does not cross a stable scalar.
    ///
    /// - Complexity: O(n), and O(m log m) in the length m of a run of marks.
    static func append(
        _ bytes: borrowing Span<UInt8>,
        _ range: Range<Int>,
        to output: inout [UInt8]
    ) {
        var copied = range.lowerBound
        var index = range.lowerBound
        var run: [UInt32] = []
        while index < range.upperBound {
            // Nothing below U+0300, whose first byte is 0xCC, is unstable.
            guard bytes[index] >= 0xCC else {
                index += 1
                continue
            }
            let (scalar, length) = bytes.scalar(at: index)
            guard ScalarClass.of(scalar).contains(.unstable) else {
                index += length
                continue
            }
            var start = index
            if start > copied {
                repeat { start -= 1 } while bytes[start] & 0xC0 == 0x80
            }
            for position in copied..<start { output.append(bytes[position]) }

            run.removeAll(keepingCapacity: true)
            if start < index { run.append(bytes.scalar(at: start).value) }
            while index < range.upperBound {
                let (scalar, length) = bytes.scalar(at: index)
                guard ScalarClass.of(scalar).contains(.unstable) else { break }
                run.append(scalar)
                index += length
            }
            compose(run, to: &output)
            copied = index
        }
        for position in copied..<range.upperBound { output.append(bytes[position]) }
    }

    /// Decomposes, orders and composes one run.
    private static func compose(_ run: [UInt32], to output: inout [UInt8]) {
        let tables = CompositionTables.shared
        var scalars: [UInt32] = []
        for scalar in run {
            if let full = tables.decompositions[scalar] ?? Hangul.decomposition(scalar) {
                scalars += full
            } else {
                scalars.append(scalar)
            }
        }
        var classes = scalars.map { tables.classes[$0] ?? 0 }
        order(&scalars, &classes)

        var composed: [UInt32] = []
        var starter: Int?
        var lastClass: UInt8 = 0
        for (scalar, combining) in zip(scalars, classes) {
            // A mark composes with the starter unless one of its class or a higher one is between them.
            if let starter, starter == composed.count - 1 || lastClass < combining,
                let composite = tables.composite(composed[starter], scalar)
            {
                composed[starter] = composite
                continue
            }
            if combining == 0 { starter = composed.count }
            lastClass = combining
            composed.append(scalar)
        }
        for scalar in composed {
            guard let scalar = Unicode.Scalar(scalar) else { continue }
            output.append(contentsOf: scalar.utf8)
        }
    }

    /// Sorts each run of marks by combining class, stably.
    private static func order(_ scalars: inout [UInt32], _ classes: inout [UInt8]) {
        var start = 0
        while start < classes.count {
            guard classes[start] != 0 else {
                start += 1
                continue
            }
            var end = start
            var isSorted = true
            while end < classes.count, classes[end] != 0 {
                if end > start, classes[end] < classes[end - 1] { isSorted = false }
                end += 1
            }
            if !isSorted {
                let permutation = (start..<end).sorted { (classes[$0], $0) < (classes[$1], $1) }
                scalars.replaceSubrange(start..<end, with: permutation.map { scalars[$0] })
                classes.replaceSubrange(start..<end, with: permutation.map { classes[$0] })
            }
            start = end
        }
    }
}
