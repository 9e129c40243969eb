// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Tensors

/// What LoRA files together change in stored tensors, to be merged into them.
package struct WeightChanges: Sendable {
    /// One file's share of one weight matrix.
    struct Term: Sendable {
        let change: LoRAChange
        /// Rows of the change that are the tensor's.
        let rows: Range<Int>
        let scale: Float
    }

    /// By name of the stored weight.
    private(set) var terms: [String: [Term]] = [:]

    /// Nothing.
    package init() {}

    package var isEmpty: Bool { terms.isEmpty }

    /// Those of a store's tensors.
    func only(in store: TensorStore) -> WeightChanges {
        var own = WeightChanges()
        own.terms = terms.filter { store[$0.key] != nil }
        return own
    }

    /// Adds a file's changes.
    mutating func add(_ changes: [LoRAChange], scale: Double, rows: (String) -> Int) {
        for change in changes {
            var start = 0
            for name in change.tensors {
                let count = rows(name)
                terms[name, default: []].append(
                    Term(change: change, rows: start..<(start + count), scale: Float(scale)))
                start += count
            }
        }
    }

    /// The changed matrix `[rows, depth]`, computed in f32.
    func merged<Device: Backend>(
        _ name: String, into weights: [Float], rows: Int, depth: Int, on device: Device
    ) -> [Float] {
        var own = weights
        let terms = terms[name] ?? []
        // Gains are of the weights as they are stored, whatever else is added.
        for term in terms {
            for row in 0..<rows {
                guard let gain = term.change.gain?[term.rows.lowerBound + row] else { break }
                for index in (row * depth)..<((row + 1) * depth) {
                    own[index] += term.scale * gain * weights[index]
                }
            }
        }
        for term in terms {
            guard let dense = term.change.dense else { continue }
            let start = term.rows.lowerBound * depth
            for index in 0..<(rows * depth) { own[index] += term.scale * dense[start + index] }
        }
        var sum = device.upload(own, rows: rows, columns: depth)
        for term in terms {
            guard let thin = term.change.thin else { continue }
            let range =
                (term.rows.lowerBound * thin.rank)..<(term.rows.upperBound * thin.rank)
            let part = LoRAChange.Thin(
                rank: thin.rank, down: thin.down, up: thin.up[range].map { $0 * term.scale })
            sum = LoRAChange.product(
                of: part, rows: rows, depth: depth, adding: sum, on: device)
        }
        return device.download(sum)
    }

    /// The changed bias of the layer whose weight is called `name`.
    func merged(biasOf name: String, into bias: [Float]) -> [Float] {
        var own = bias
        for term in terms[name] ?? [] {
            guard let added = term.change.bias else { continue }
            for index in own.indices {
                own[index] += term.scale * added[term.rows.lowerBound + index]
            }
        }
        return own
    }

    /// Weights of layers whose bias is changed.
    var namesWithBias: [String] {
        terms.filter { $0.value.contains { $0.change.bias != nil } }.keys.sorted()
    }
}
