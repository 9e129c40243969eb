// Part of Inkstone. Licence: see LICENSE.

/// Converts tensor names of the autoencoder's original code base, used by most single files, to
/// those of diffusers.
///
/// - Source: diffusers 0.42.1, `single_file_utils.py`, `convert_ldm_vae_checkpoint`.
struct AutoencoderNames {
    /// Levels of the decoder, which the original counts in reverse; 0 for names of diffusers.
    private let levels: Int

    private static let plain = [
        ("norm_out.", "conv_norm_out."), ("mid.block_1.", "mid_block.resnets.0."),
        ("mid.block_2.", "mid_block.resnets.1."),
        ("mid.attn_1.norm.", "mid_block.attentions.0.group_norm."),
        ("mid.attn_1.q.", "mid_block.attentions.0.to_q."),
        ("mid.attn_1.k.", "mid_block.attentions.0.to_k."),
        ("mid.attn_1.v.", "mid_block.attentions.0.to_v."),
        ("mid.attn_1.proj_out.", "mid_block.attentions.0.to_out.0."),
        // Former names of diffusers.
        ("mid_block.attentions.0.query.", "mid_block.attentions.0.to_q."),
        ("mid_block.attentions.0.key.", "mid_block.attentions.0.to_k."),
        ("mid_block.attentions.0.value.", "mid_block.attentions.0.to_v."),
        ("mid_block.attentions.0.proj_attn.", "mid_block.attentions.0.to_out.0."),
    ]

    init(_ store: TensorStore) {
        var levels = 0
        while levels < 64, store["decoder.up.\(levels).block.0.conv1.weight"] != nil { levels += 1 }
        self.levels = levels
    }

    func renamed(_ store: TensorStore) throws(CheckpointError) -> TensorStore {
        try store.mapping { name, tensor in
            let own = self.name(name)
            // Its attention is stored as 1 x 1 convolutions.
            let isAttention = own.contains(".attentions.0.to_") && tensor.shape.count == 4
            let shape =
                isAttention && tensor.shape.suffix(2) == [1, 1]
                ? Array(tensor.shape.prefix(2)) : tensor.shape
            return [tensor.renamed(own, shape: shape)]
        }
    }

    private func name(_ name: String) -> String {
        for side in ["encoder.", "decoder."] where name.hasPrefix(side) {
            let rest = String(name.dropFirst(side.count))
            for (native, own) in Self.plain where rest.hasPrefix(native) {
                return side + own + rest.dropFirst(native.count)
            }
            return side + (level(rest) ?? rest)
        }
        return name
    }

    /// `down.0.block.1.conv1.weight` and the like.
    private func level(_ name: String) -> String? {
        let words = name.split(separator: ".").map(String.init)
        guard words.count >= 4, let index = Int(words[1]), index >= 0, index < max(levels, 1)
        else { return nil }
        let way: String
        let place: Int
        switch words[0] {
        case "down": (way, place) = ("down", index)
        case "up": (way, place) = ("up", levels - 1 - index)
        default: return nil
        }
        let rest = words.dropFirst(3).joined(separator: ".")
        switch words[2] {
        case "block":
            let layer = rest.replacingFirst("nin_shortcut", with: "conv_shortcut")
            return "\(way)_blocks.\(place).resnets.\(layer)"
        case "downsample", "upsample": return "\(way)_blocks.\(place).\(words[2])rs.0.\(rest)"
        default: return nil
        }
    }
}

extension String {
    fileprivate func replacingFirst(_ word: String, with other: String) -> String {
        guard let range = firstRange(of: word) else { return self }
        return self[..<range.lowerBound] + other + self[range.upperBound...]
    }
}
