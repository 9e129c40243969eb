// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Tensors

/// The changes of several LoRA files to stored tensors, for merging.
package struct WeightChanges: Sendable {
    /// The change of one file to one weight matrix.
    struct Term: Sendable {
        let change: LoRAChange
        /// Rows of the change that belong to the tensor.
        let rows: Range<Int>
        let scale: Float
    }

    /// By name of the stored weight.
    private(set) var terms: [String: [Term]] = [:]

    /// Creates an empty set of changes.
    package init() {}

    package var isEmpty: Bool { terms.isEmpty }

    /// Returns the changes to the tensors of a store.
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

    /// Returns the changed matrix `[rows, depth]`, computed in f32.
    func merged<Device: Backend>(
        _ name: String, into weights: [Float], rows: Int, depth: Int, on device: Device
    ) -> [Float] {
        var own = weights
        let terms = terms[name] ?? []
        // Gains apply to the weights as they are stored, before anything is added.
        for term in terms {
            for row in 0..<rows {
                guard let gain = term.change.gain?[term.rows.lowerBound + row] else { break }
                for index in (row * depth)..<((row + 1) * depth) {
                    own[index] += term.scale * gain * weights[index]
                }
            }
        }
        for term in terms {
            guard let fullRank = term.change.fullRank else { continue }
            let start = term.rows.lowerBound * depth
            for index in 0..<(rows * depth) { own[index] += term.scale * fullRank[start + index] }
        }
        var sum = device.upload(own, rows: rows, columns: depth)
        for term in terms {
            guard let factors = term.change.lowRank else { continue }
            let range =
                (term.rows.lowerBound * factors.rank)..<(term.rows.upperBound * factors.rank)
            let part = LoRAChange.LowRank(
                rank: factors.rank, down: factors.down,
                up: factors.up[range].map { $0 * term.scale })
            sum = LoRAChange.product(
                of: part, rows: rows, depth: depth, adding: sum, on: device)
        }
        return device.download(sum)
    }

    /// Returns the changed bias of the layer whose weight is named `name`.
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

    /// Names of the weights of layers whose bias is changed.
    var namesWithBias: [String] {
        terms.filter { $0.value.contains { $0.change.bias != nil } }.keys.sorted()
    }
}
