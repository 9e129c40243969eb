// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
package import Tensors

/// The tensors of a LoRA file that change one target, checked against its shape.
package struct LoRAGroup: Sendable {
    /// How the change is stored.
    package enum Format: String, Sendable, Codable {
        /// `up · down`.
        case lora = "LoRA"
        /// `up · down`, then every row or column gets a stored magnitude.
        case dora = "DoRA"
        /// The element-wise product of two products.
        case loha = "LoHa"
        /// A Kronecker product.
        case lokr = "LoKr"
        /// The change as a whole.
        case difference = "difference"
    }

    let target: LoRATargets.Target
    let tensors: [LoRAKey.Role: StoredTensor]
    /// alpha / rank of files that keep it in their metadata.
    let metadataRatio: Double
    package let format: Format
    /// Ranks of the stored factors; 0 where there is none.
    package let rank: Int
    let file: String

    var rows: Int { target.rows.reduce(0, +) }
    var depth: Int { target.depth }
    /// Names of the weights that are changed.
    package var names: [String] { target.tensors }
    /// Type of the stored numbers.
    package var dtype: DType {
        tensors.filter { $0.key != .alpha && $0.key != .magnitude }.values
            .map(\.dtype).max { $0.byteWidth < $1.byteWidth } ?? .f32
    }
    /// Whether magnitudes of rows or columns are stored beside another format than LoRA's own.
    package var isDecomposed: Bool { tensors[.magnitude] != nil && format != .dora }

    /// Checks that the tensors make a change of the target's shape.
    ///
    /// - Returns: `nil` when tensors are missing.
    /// - Throws: `CheckpointError` when a shape is wrong.
    init?(
        _ target: LoRATargets.Target, _ tensors: [LoRAKey.Role: StoredTensor],
        metadata: AdapterMetadata, file: String
    ) throws(CheckpointError) {
        self.target = target
        self.tensors = tensors
        self.file = file
        let (rows, depth) = (target.rows.reduce(0, +), target.depth)
        func matrix(_ role: LoRAKey.Role) -> (Int, Int)? {
            guard let shape = tensors[role]?.shape, shape.count == 2, shape[0] > 0, shape[1] > 0
            else { return nil }
            return (shape[0], shape[1])
        }
        func factor(
            _ whole: LoRAKey.Role, _ a: LoRAKey.Role, _ b: LoRAKey.Role
        ) -> (rows: Int, depth: Int, rank: Int)? {
            if let whole = matrix(whole) { return (whole.0, whole.1, 0) }
            guard let a = matrix(a), let b = matrix(b), a.1 == b.0 else { return nil }
            return (a.0, b.1, a.1)
        }
        let expected: String
        let isRight: Bool
        if let down = tensors[.down], let up = tensors[.up] {
            format = tensors[.magnitude] == nil ? .lora : .dora
            rank = down.shape.first ?? 0
            expected = "[\(rows), r] x [r, \(depth)]"
            isRight =
                down.shape.count == 2 && up.shape.count == 2 && rank > 0 && down.shape[1] == depth
                && up.shape[0] == rows && up.shape[1] == rank
        } else if tensors[.kron1] != nil || tensors[.kron1A] != nil {
            guard tensors[.kron2] != nil || tensors[.kron2A] != nil else { return nil }
            format = .lokr
            let first = factor(.kron1, .kron1A, .kron1B)
            let second = factor(.kron2, .kron2A, .kron2B)
            rank = second?.rank ?? 0 > 0 ? second?.rank ?? 0 : first?.rank ?? 0
            expected = "a Kronecker product of [\(rows), \(depth)]"
            isRight =
                first.map { first in
                    second.map {
                        rows.isMultiple(of: first.rows) && $0.rows == rows / first.rows
                            && depth.isMultiple(of: first.depth)
                            && $0.depth == depth / first.depth
                    } ?? false
                } ?? false
        } else if tensors[.hadamard1A] != nil {
            guard tensors[.hadamard1B] != nil, tensors[.hadamard2A] != nil,
                tensors[.hadamard2B] != nil
            else { return nil }
            format = .loha
            let first = factor(.other, .hadamard1A, .hadamard1B)
            let second = factor(.other, .hadamard2A, .hadamard2B)
            rank = first?.rank ?? 0
            expected = "two products of [\(rows), r] x [r, \(depth)]"
            isRight =
                first?.rows == rows && first?.depth == depth && second?.rows == rows
                && second?.depth == depth
        } else if let difference = tensors[.difference] {
            format = .difference
            rank = 0
            expected = "[\(rows), \(depth)]"
            isRight = difference.shape == [rows, depth]
        } else {
            return nil
        }
        let module = String((target.tensors.first ?? "").dropLast(".weight".count))
        metadataRatio = rank > 0 ? metadata.ratio(module: module, rank: rank) : 1
        guard isRight else {
            // In the order in which they are multiplied.
            let order: [LoRAKey.Role] = [
                .up, .down, .kron1, .kron1A, .kron1B, .kron2, .kron2A, .kron2B, .hadamard1A,
                .hadamard1B, .hadamard2A, .hadamard2B, .difference,
            ]
            let shapes = order.compactMap { tensors[$0].map { "\($0.shape)" } }
            throw CheckpointError(
                code: .badTensor,
                message: "LoRA file \(file) has \(shapes.joined(separator: " x ")) for"
                    + " '\(target.tensors.first ?? "")', expected \(expected).",
                remedy: "Use a LoRA that was trained for a model of this size.")
        }
        if let magnitude = tensors[.magnitude] {
            guard magnitude.count == rows || magnitude.shape == [1, depth] else {
                throw CheckpointError(
                    code: .badTensor,
                    message: "LoRA file \(file) has magnitudes \(magnitude.shape) for"
                        + " '\(target.tensors.first ?? "")', expected [\(rows), 1] or"
                        + " [1, \(depth)].",
                    remedy: "Use a LoRA that was trained for a model of this size.")
            }
        }
        if let bias = tensors[.upBias] ?? tensors[.biasDifference] {
            guard bias.count == rows else {
                throw CheckpointError(
                    code: .badTensor,
                    message: "LoRA file \(file) has a bias \(bias.shape) for"
                        + " '\(target.tensors.first ?? "")', expected [\(rows)].",
                    remedy: "Use a LoRA that was trained for a model of this size.")
            }
        }
    }

    /// Roles that take part.
    var usedRoles: Set<LoRAKey.Role> {
        let bias: Set<LoRAKey.Role> = [.upBias, .biasDifference, .magnitude]
        let own: Set<LoRAKey.Role> =
            switch format {
            case .lora, .dora: [.down, .up, .alpha]
            case .loha: [.hadamard1A, .hadamard1B, .hadamard2A, .hadamard2B, .alpha]
            // Without a rank there is nothing that alpha could be a share of.
            case .lokr: kroneckerRoles.union(rank > 0 ? [.alpha] : [])
            case .difference: [.difference]
            }
        return own.union(bias)
    }

    private var kroneckerRoles: Set<LoRAKey.Role> {
        let first: Set<LoRAKey.Role> = tensors[.kron1] != nil ? [.kron1] : [.kron1A, .kron1B]
        return first.union(tensors[.kron2] != nil ? [.kron2] : [.kron2A, .kron2B])
    }

    /// alpha / rank, or 1.
    private func ratio() throws -> Float {
        guard rank > 0 else { return 1 }
        guard let alpha = tensors[.alpha] else { return Float(metadataRatio) }
        guard alpha.count == 1, let number = try numbers(.alpha).first else {
            throw CheckpointError(
                code: .badTensor,
                message: "LoRA file \(file) has an alpha of \(alpha.count) numbers for"
                    + " '\(target.tensors.first ?? "")', expected one.",
                remedy: "Get the file again.")
        }
        return Float(Double(number) / Double(rank))
    }

    /// A tensor's numbers.
    ///
    /// - Throws: `CheckpointError` for a type that cannot be read or a number that is not finite.
    func numbers(_ role: LoRAKey.Role) throws -> [Float] {
        guard let tensor = tensors[role] else { return [] }
        let numbers = try tensor.allFloats()
        guard numbers.allSatisfy(\.isFinite) else {
            throw CheckpointError(
                code: .badTensor,
                message: "LoRA file \(file) has a number that is not finite in '\(tensor.name)'.",
                remedy: "Get the file again; its training may have failed.")
        }
        return numbers
    }

    /// The changes at strength 1; `weights` is asked for the model's own, for magnitudes only.
    func changes<Device: Backend>(
        on device: Device, weights: (String) throws -> [Float]
    ) throws -> [LoRAChange] {
        var change = LoRAChange(tensors: target.tensors, rows: rows, depth: depth)
        let ratio = try ratio()
        switch format {
        case .lora, .dora:
            let up = try numbers(.up)
            change.thin = .init(
                rank: rank, down: try numbers(.down), up: ratio == 1 ? up : up.map { $0 * ratio })
        case .loha: change.thin = try hadamard(ratio)
        case .lokr: (change.thin, change.dense) = try kronecker(ratio)
        case .difference: change.dense = try numbers(.difference)
        }
        if let thin = change.thin, !thin.pays(rows: rows, depth: depth) {
            change.dense = change.whole(on: device)
            change.thin = nil
        }
        if let magnitude = tensors[.magnitude] {
            change.decompose(
                magnitude: try numbers(.magnitude),
                byRows: magnitude.count == rows && magnitude.shape != [1, depth],
                weights: try target.tensors.flatMap(weights), on: device)
        }
        if tensors[.upBias] != nil {
            change.bias = try numbers(.upBias).map { $0 * ratio }
        } else if tensors[.biasDifference] != nil {
            change.bias = try numbers(.biasDifference)
        }
        return change.split(rows: target.rows)
    }

    /// (A1 · B1) * (A2 · B2), element by element, is a product of thin matrices itself: its ranks are
    /// all pairs of theirs.
    private func hadamard(_ ratio: Float) throws -> LoRAChange.Thin {
        let (a1, b1) = (try numbers(.hadamard1A), try numbers(.hadamard1B))
        let (a2, b2) = (try numbers(.hadamard2A), try numbers(.hadamard2B))
        let (r1, r2) = (a1.count / rows, a2.count / rows)
        var up: [Float] = []
        up.reserveCapacity(rows * r1 * r2)
        for row in 0..<rows {
            for i in 0..<r1 {
                for j in 0..<r2 { up.append(a1[row * r1 + i] * a2[row * r2 + j] * ratio) }
            }
        }
        var down: [Float] = []
        down.reserveCapacity(r1 * r2 * depth)
        for i in 0..<r1 {
            for j in 0..<r2 {
                for column in 0..<depth {
                    down.append(b1[i * depth + column] * b2[j * depth + column])
                }
            }
        }
        return .init(rank: r1 * r2, down: down, up: up)
    }
}
