// Part of Inkstone. Licence: see LICENSE.

/// What a request can ask for beyond prompt, size and seed.
package enum RequestFeature: String, Sendable, CaseIterable {
    case negativePrompt = "a negative prompt"
    case guidance
    case lora = "a LoRA"
    case edit = "a source image"
    case strength = "a strength other than 1 for source images"
    case mask = "a mask"
    case control = "a ControlNet"
    case format = "a file format other than png"
}

extension Dialect {
    /// What the dialect has fields for, according to its documentation.
    package var features: Set<RequestFeature> {
        switch self {
        case .openAI, .openAIStream:
            [.negativePrompt, .guidance, .lora, .edit, .strength, .mask, .control, .format]
        case .xinference: [.negativePrompt, .guidance, .edit, .strength, .mask]
        case .a1111: [.negativePrompt, .guidance, .lora, .edit, .strength, .mask, .control]
        case .jobs:
            [.negativePrompt, .guidance, .lora, .edit, .strength, .mask, .control, .format]
        case .sdcpp: [.negativePrompt, .guidance, .lora, .edit, .strength, .mask, .control]
        case .sglang: [.negativePrompt, .guidance, .edit, .mask, .format]
        case .vllmOmni: [.negativePrompt, .guidance, .edit, .mask]
        case .localAI: [.negativePrompt, .edit]
        case .comfyUI: [.negativePrompt, .guidance, .lora, .edit, .strength, .mask]
        }
    }
}

extension Scenario {
    /// Refuses requests that the dialect has no fields for: a server would ignore them in silence.
    func checkDialect() throws(ScenarioError) {
        let mix = request
        var needed: [RequestFeature] = []
        if mix.negativePrompt != nil { needed.append(.negativePrompt) }
        if mix.guidance > 0 { needed.append(.guidance) }
        if mix.loras.contains(where: { $0.value != nil }) { needed.append(.lora) }
        if mix.edits != nil || mix.turns > 1 { needed.append(.edit) }
        if let edits = mix.edits, edits.strength < 1 { needed.append(.strength) }
        if mix.edits == nil, mix.turns > 1 { needed.append(.strength) }
        if mix.edits?.masks.contains(where: { $0.value != nil }) == true { needed.append(.mask) }
        if mix.control != nil { needed.append(.control) }
        if mix.format != "png" { needed.append(.format) }
        if let missing = needed.first(where: { !target.dialect.features.contains($0) }) {
            let others = Dialect.allCases.filter { $0.features.isSuperset(of: needed) }
            throw ScenarioError(
                "The dialect \(target.dialect.rawValue) has no field for \(missing.rawValue); "
                    + (others.isEmpty
                        ? "leave it out."
                        : "leave it out, or use one of \(others.map(\.rawValue).joined(separator: ", ")).")
            )
        }
        if target.workflow != nil, target.workflowNodes == nil {
            throw ScenarioError(
                "The workflow of the scenario was not read; read it with Scenario(contentsOf:).")
        }
        if target.dialect == .comfyUI, target.workflow == nil, target.model == nil {
            throw ScenarioError(
                "The dialect comfyui needs target.model, the name of a checkpoint, or target.workflow."
            )
        }
        guard mix.turns > 1 else { return }
        for level in levels {
            switch level {
            case .closed, .single: break
            default:
                throw ScenarioError(
                    "request.turns needs closed levels: a session's next request follows from the image"
                        + " of the one before, not from a plan of arrivals.")
            }
        }
    }
}
