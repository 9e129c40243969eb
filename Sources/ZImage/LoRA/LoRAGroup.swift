// Part of Inkstone. Licence: see LICENSE.

package import ModelFiles
package import Tensors

/// The tensors of a LoRA file that change one target, checked against its shape.
package struct LoRAGroup: Sendable {
    /// How the change is stored.
    package enum Format: String, Sendable, Codable {
        /// `up · down`.
        case lora = "LoRA"
        /// `up · down`, then every row or column is scaled to a stored magnitude.
        case dora = "DoRA"
        /// The element-wise product of two products.
        case loha = "LoHa"
        /// A Kronecker product.
        case lokr = "LoKr"
        /// The full-rank change.
        case difference = "difference"
    }

    let target: LoRATargets.Target
    let tensors: [LoRAKey.Role: StoredTensor]
    /// alpha / rank by what is beside the tensors.
    let scaling: AdapterMetadata.Scaling
    package let format: Format
    /// Rank of the stored factors; 0 for formats without one.
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
    /// Whether magnitudes are stored with a format other than LoRA's own.
    package var isDecomposed: Bool { tensors[.magnitude] != nil && format != .dora }

    /// Creates a group after checking that the tensors make a change of the target's shape.
    ///
    /// - Returns: `nil` when tensors are missing.
    /// - Throws: `CheckpointError` when a shape is wrong.
    init?(
        _ target: LoRATargets.Target, _ tensors: [LoRAKey.Role: StoredTensor],
        metadata: AdapterMetadata, file: String
    ) throws(CheckpointError) {
        guard let form = Form(tensors, rows: target.rows.reduce(0, +), depth: target.depth) else {
            return nil
        }
        self.target = target
        self.tensors = tensors
        self.file = file
        format = form.format
        rank = form.rank
        let module = String((target.tensors.first ?? "").dropLast(".weight".count))
        scaling =
            rank > 0 || form.format == .lokr
            ? metadata.scaling(module: module, rank: rank) : .init()
        try check(form)
    }

    /// The format of some tensors, and whether their shapes fit a matrix.
    private struct Form {
        let format: Format
        let rank: Int
        /// The expected shapes, for a message.
        let expected: String
        let fits: Bool

        /// Fails when tensors are missing.
        init?(_ tensors: [LoRAKey.Role: StoredTensor], rows: Int, depth: Int) {
            func matrix(_ role: LoRAKey.Role) -> (Int, Int)? {
                guard let shape = tensors[role]?.shape, shape.count == 2, shape[0] > 0, shape[1] > 0
                else { return nil }
                return (shape[0], shape[1])
            }
            func factor(
                _ full: LoRAKey.Role, _ a: LoRAKey.Role, _ b: LoRAKey.Role
            ) -> (rows: Int, depth: Int, rank: Int)? {
                if let full = matrix(full) { return (full.0, full.1, 0) }
                guard let a = matrix(a), let b = matrix(b), a.1 == b.0 else { return nil }
                return (a.0, b.1, a.1)
            }
            if let down = tensors[.down], let up = tensors[.up] {
                format = tensors[.magnitude] == nil ? .lora : .dora
                rank = down.shape.first ?? 0
                expected = "[\(rows), r] x [r, \(depth)]"
                fits = rank > 0 && down.shape == [rank, depth] && up.shape == [rows, rank]
            } else if tensors[.kron1] != nil || tensors[.kron1A] != nil {
                guard tensors[.kron2] != nil || tensors[.kron2A] != nil else { return nil }
                format = .lokr
                let first = factor(.kron1, .kron1A, .kron1B)
                let second = factor(.kron2, .kron2A, .kron2B)
                rank = second?.rank ?? 0 > 0 ? second?.rank ?? 0 : first?.rank ?? 0
                expected = "a Kronecker product of [\(rows), \(depth)]"
                if let first, let second {
                    fits =
                        rows.isMultiple(of: first.rows) && second.rows == rows / first.rows
                        && depth.isMultiple(of: first.depth)
                        && second.depth == depth / first.depth
                } else {
                    fits = false
                }
            } else if tensors[.hadamard1A] != nil {
                guard tensors[.hadamard1B] != nil, tensors[.hadamard2A] != nil,
                    tensors[.hadamard2B] != nil
                else { return nil }
                format = .loha
                let first = factor(.other, .hadamard1A, .hadamard1B)
                let second = factor(.other, .hadamard2A, .hadamard2B)
                rank = first?.rank ?? 0
                expected = "two products of [\(rows), r] x [r, \(depth)]"
                fits =
                    first?.rows == rows && first?.depth == depth && second?.rows == rows
                    && second?.depth == depth
            } else if let difference = tensors[.difference] {
                format = .difference
                rank = 0
                expected = "[\(rows), \(depth)]"
                fits = difference.shape == [rows, depth]
            } else {
                return nil
            }
        }
    }

    /// Checks the shapes of all tensors.
    private func check(_ form: Form) throws(CheckpointError) {
        func wrong(_ found: String, _ expected: String) -> CheckpointError {
            CheckpointError(
                code: .badTensor,
                message:
                    "LoRA file \(file) has \(found) for '\(target.tensors.first ?? "")', expected"
                    + " \(expected).",
                remedy: "Use a LoRA that was trained for a model of this size.")
        }
        guard form.fits else {
            // In the order in which they are multiplied.
            let order: [LoRAKey.Role] = [
                .up, .down, .kron1, .kron1A, .kron1B, .kron2, .kron2A, .kron2B, .hadamard1A,
                .hadamard1B, .hadamard2A, .hadamard2B, .difference,
            ]
            let shapes = order.compactMap { tensors[$0].map { "\($0.shape)" } }
            throw wrong(shapes.joined(separator: " x "), form.expected)
        }
        if let magnitude = tensors[.magnitude], magnitude.count != rows,
            magnitude.shape != [1, depth]
        {
            throw wrong("magnitudes \(magnitude.shape)", "[\(rows), 1] or [1, \(depth)]")
        }
        if let bias = tensors[.upBias] ?? tensors[.biasDifference], bias.count != rows {
            throw wrong("a bias \(bias.shape)", "[\(rows)]")
        }
    }

    /// Roles of the tensors that are used.
    var usedRoles: Set<LoRAKey.Role> {
        let bias: Set<LoRAKey.Role> = [.upBias, .biasDifference, .magnitude]
        let own: Set<LoRAKey.Role> =
            switch format {
            case .lora, .dora: [.down, .up, .alpha]
            case .loha: [.hadamard1A, .hadamard1B, .hadamard2A, .hadamard2B, .alpha]
            // alpha is relative to the rank: without a rank it has no meaning.
            case .lokr: kroneckerRoles.union(rank > 0 ? [.alpha] : [])
            case .difference: [.difference]
            }
        return own.union(bias)
    }

    private var kroneckerRoles: Set<LoRAKey.Role> {
        let first: Set<LoRAKey.Role> = tensors[.kron1] != nil ? [.kron1] : [.kron1A, .kron1B]
        return first.union(tensors[.kron2] != nil ? [.kron2] : [.kron2A, .kron2B])
    }

    /// Returns alpha / rank, 1 where nothing says; a tensor counts more than what is beside the tensors.
    ///
    /// - Throws: `CheckpointError` for an alpha that is not one number.
    package func ratio() throws(CheckpointError) -> Float {
        guard rank > 0, let alpha = tensors[.alpha] else { return Float(scaling.ratio) }
        guard alpha.count == 1, let number = try numbers(.alpha).first else {
            throw CheckpointError(
                code: .badTensor,
                message: "LoRA file \(file) has an alpha of \(alpha.count) numbers for"
                    + " '\(target.tensors.first ?? "")', expected one.",
                remedy: "Get the file again.")
        }
        return Float(Double(number) / Double(rank))
    }

    /// The place of the alpha that counts; `nil` if there is none.
    package var alphaOrigin: String? {
        rank > 0 && tensors[.alpha] != nil ? "the tensors" : scaling.origin
    }

    /// The places that say something else than the one that counts, with their alpha / rank.
    ///
    /// A conversion that joins queries, keys and values multiplies the alpha of the tensors, so that theirs is not compared.
    package func otherRatios() throws(CheckpointError) -> [String: Double] {
        guard let origin = scaling.origin, alphaOrigin != origin else { return scaling.others }
        let ratio = try ratio()
        guard target.tensors.count == 1, !isNear(Double(ratio), scaling.ratio) else { return [:] }
        return [origin: scaling.ratio]
    }

    /// Returns the numbers of a tensor.
    ///
    /// - Throws: `CheckpointError` for a type that cannot be read or a number that is not finite.
    func numbers(_ role: LoRAKey.Role) throws(CheckpointError) -> [Float] {
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

    /// Returns the changes at scale 1; `weights` returns the model's own numbers, which magnitudes need.
    func changes<Device: Backend>(
        on device: Device, weights: (String) throws -> [Float]
    ) throws -> [LoRAChange] {
        var change = LoRAChange(tensors: target.tensors, rows: rows, depth: depth)
        let ratio = try ratio()
        switch format {
        case .lora, .dora:
            let up = try numbers(.up)
            change.lowRank = .init(
                rank: rank, down: try numbers(.down), up: ratio == 1 ? up : up.map { $0 * ratio })
        case .loha: change.lowRank = try hadamard(ratio)
        case .lokr: (change.lowRank, change.fullRank) = try kronecker(ratio)
        case .difference: change.fullRank = try numbers(.difference)
        }
        if let factors = change.lowRank, !factors.isCheaper(rows: rows, depth: depth) {
            change.fullRank = change.fullRankMatrix(on: device)
            change.lowRank = nil
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

    /// Returns the element-wise product (A1 · B1) * (A2 · B2) as one product of low rank: its ranks are
    /// all pairs of theirs.
    private func hadamard(_ ratio: Float) throws -> LoRAChange.LowRank {
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
