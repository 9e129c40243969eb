// Part of Inkstone. Licence: see LICENSE.

extension Kernel {
    /// The shader's name, with the tile, the width of heads or the function that its constants select.
    package var title: String {
        switch shader {
        case "elementwise":
            let function = constants.first.flatMap(VulkanBackend.Elementwise.init)
            return shader + (function.map { ", \($0)" } ?? "")
        case "attention_f16_matrix": return shader + detail(4) { "heads of \($0)" }
        case "attention_f32", "attention_f32_any": return shader + detail(0) { "heads of \($0)" }
        case let name where name.contains("_matrix") && constants.count == 10:
            return "\(shader), \(constants[2])x\(constants[3])"
        default: return shader
        }
    }

    private func detail(_ index: Int, _ text: (UInt32) -> String) -> String {
        constants.indices.contains(index) ? ", \(text(constants[index]))" : ""
    }
}
