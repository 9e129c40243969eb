// Part of Inkstone. Licence: see LICENSE.

/// What the numbers of a tensor are, to recognise damaged weights.
package struct TensorValues: Sendable, Equatable {
    /// Number of elements.
    package var count = 0
    /// Elements that are NaN or infinite.
    package var nonFinite = 0
    /// Elements that are not zero.
    package var nonZero = 0
    /// The largest magnitude of a finite element.
    package var largest: Float = 0

    private static let chunk = 1 << 18

    package init() {}

    /// Reads every number of a tensor, on several threads.
    ///
    /// - Throws: `CheckpointError` of code `badTensor` for a type that weights do not have.
    package init(of tensor: StoredTensor) throws(CheckpointError) {
        let count = tensor.count
        let parts = (count + Self.chunk - 1) / Self.chunk
        // The type is checked before threads start: what is left cannot fail.
        _ = try tensor.floats(in: 0..<min(1, count))
        let results = [TensorValues](unsafeUninitializedCapacity: parts) { buffer, filled in
            // Each call initializes its own element.
            nonisolated(unsafe) let buffer = buffer
            concurrently(parts) { part in
                let range = (part * Self.chunk)..<min(count, (part + 1) * Self.chunk)
                let numbers = (try? tensor.floats(in: range)) ?? []
                buffer.initializeElement(at: part, to: TensorValues(numbers))
            }
            filled = parts
        }
        for part in results {
            self.count += part.count
            nonFinite += part.nonFinite
            nonZero += part.nonZero
            largest = max(largest, part.largest)
        }
    }

    private init(_ numbers: [Float]) {
        count = numbers.count
        for number in numbers {
            // NaN differs from zero as well.
            if number != 0 { nonZero += 1 }
            if number.isFinite {
                largest = max(largest, number.magnitude)
            } else {
                nonFinite += 1
            }
        }
    }
}
