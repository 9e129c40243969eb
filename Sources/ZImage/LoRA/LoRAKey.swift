// Part of Inkstone. Licence: see LICENSE.

/// A key of a LoRA file: the name of a layer as the file spells it, and the role of the tensor.
struct LoRAKey {
    /// The role of a tensor in the change of a layer.
    enum Role: Hashable {
        case down, up, middle, alpha, upBias
        case magnitude
        case kron1, kron1A, kron1B, kron2, kron2A, kron2B, kronCore
        case hadamard1A, hadamard1B, hadamard2A, hadamard2B, hadamardCore
        case difference, biasDifference
        case other
    }

    let base: String
    let role: Role

    /// Suffixes without the name of an adapter.
    private static let ends: [(String, Role)] = [
        (".lora_A.weight", .down), (".lora_B.weight", .up), (".lora_A", .down), (".lora_B", .up),
        (".lora_down.weight", .down), (".lora_up.weight", .up), (".lora.down.weight", .down),
        (".lora.up.weight", .up), (".lora_linear_layer.down.weight", .down),
        (".lora_linear_layer.up.weight", .up), (".lora_mid.weight", .middle),
        (".lora_B.bias", .upBias), (".lora_up.bias", .upBias), (".alpha", .alpha),
        (".dora_scale", .magnitude), (".lora_magnitude_vector", .magnitude),
        (".lora_magnitude_vector.weight", .magnitude),
        (".lokr_w1", .kron1), (".lokr_w1_a", .kron1A), (".lokr_w1_b", .kron1B),
        (".lokr_w2", .kron2), (".lokr_w2_a", .kron2A), (".lokr_w2_b", .kron2B),
        (".lokr_t2", .kronCore), (".hada_w1_a", .hadamard1A), (".hada_w1_b", .hadamard1B),
        (".hada_w2_a", .hadamard2A), (".hada_w2_b", .hadamard2B), (".hada_t1", .hadamardCore),
        (".hada_t2", .hadamardCore), (".diff", .difference), (".diff_b", .biasDifference),
        (".set_weight", .other), (".reshape_weight", .other), (".w_norm", .other),
        (".b_norm", .other), (".scalar", .other),
    ]

    /// Suffixes with the name of an adapter before the last component.
    private static let named: [(middle: String, end: String, role: Role)] = [
        (".lora_A.", ".weight", .down), (".lora_B.", ".weight", .up),
        (".lora_B.", ".bias", .upBias), (".lora_magnitude_vector.", ".weight", .magnitude),
        (".lora_magnitude_vector.", "", .magnitude),
    ]

    /// Parses a key; `nil` if its suffix is unknown.
    init?(_ key: String) {
        var best: (length: Int, role: Role)?
        for (end, role) in Self.ends where key.hasSuffix(end) && end.count > best?.length ?? 0 {
            best = (end.count, role)
        }
        if let best {
            (base, role) = (String(key.dropLast(best.length)), best.role)
            return
        }
        for (middle, end, role) in Self.named where key.hasSuffix(end) {
            guard let place = Self.last(middle, in: key) else { continue }
            let adapter = key[place.upperBound...].dropLast(end.count)
            guard !adapter.isEmpty, !adapter.contains(".") else { continue }
            (base, self.role) = (String(key[..<place.lowerBound]), role)
            return
        }
        return nil
    }

    private static func last(_ text: String, in key: String) -> Range<String.Index>? {
        var end = key.endIndex
        while end > key.startIndex {
            let head = key[..<end]
            if head.hasSuffix(text) {
                return key.index(end, offsetBy: -text.count)..<end
            }
            end = key.index(before: end)
        }
        return nil
    }
}
