// Part of Inkstone. Licence: see LICENSE.

public import Foundation

/// A workflow of ComfyUI in its API format, with placeholders for what a request asks for.
///
/// A value that is one placeholder becomes a number or text; inside other text it is replaced: `{prompt}`,
/// `{negative_prompt}`, `{seed}`, `{steps}`, `{cfg}`, `{width}`, `{height}`, `{strength}`, `{source}`, `{mask}`.
///
/// - Source: `script_examples/websockets_api_example.py` and `server.py` of comfyanonymous/ComfyUI.
public struct ComfyUIWorkflow: Sendable, Equatable {
    /// The workflow as JSON; `nil` for the built-in one.
    private let template: Data?
    private let model: String?

    /// Creates the built-in workflow: a checkpoint, KSampler and VAE.
    init(model: String?) {
        template = nil
        self.model = model
    }

    /// Reads a workflow that ComfyUI exported in its API format.
    ///
    /// - Throws: `ScenarioError` for a file that is none, or that has no placeholder for the prompt and the seed.
    public init(contentsOf file: URL) throws(ScenarioError) {
        guard let data = try? Data(contentsOf: file),
            let nodes = try? JSONSerialization.jsonObject(with: data) as? [String: Any],
            nodes.values.allSatisfy({ ($0 as? [String: Any])?["class_type"] is String })
        else {
            throw ScenarioError(
                "target.workflow: \(file.path) is not a workflow in ComfyUI's API format; export it with"
                    + " Workflow, Export (API).")
        }
        let text = String(decoding: data, as: UTF8.self)
        for name in ["{prompt}", "{seed}"] where !text.contains(name) {
            throw ScenarioError(
                "target.workflow: \(file.path) has no \(name); write it where the value belongs, for instance"
                    + " \"seed\": \"{seed}\".")
        }
        template = data
        model = nil
    }

    /// The workflow of a request.
    ///
    /// `source` and `mask` are the names of uploaded files.
    func nodes(_ parameters: RequestParameters, source: String?, mask: String?) -> [String: Any] {
        guard let template,
            let nodes = try? JSONSerialization.jsonObject(with: template) as? [String: Any]
        else { return standard(parameters, source: source, mask: mask) }
        let values: [String: Any] = [
            "{prompt}": parameters.prompt, "{negative_prompt}": parameters.negativePrompt ?? "",
            "{seed}": Int(parameters.seed), "{steps}": parameters.steps,
            "{cfg}": parameters.guidance + 1, "{width}": parameters.width,
            "{height}": parameters.height, "{strength}": parameters.source?.strength ?? 1,
            "{source}": source ?? "", "{mask}": mask ?? "",
        ]
        return nodes.mapValues { Self.filled($0, values) }
    }

    private static func filled(_ value: Any, _ values: [String: Any]) -> Any {
        switch value {
        case let text as String:
            if let whole = values[text] { return whole }
            return values.reduce(text) { $0.replacing($1.key, with: "\($1.value)") }
        case let list as [Any]: return list.map { filled($0, values) }
        case let object as [String: Any]: return object.mapValues { filled($0, values) }
        default: return value
        }
    }

    private static func node(_ type: String, _ inputs: [String: Any]) -> [String: Any] {
        ["class_type": type, "inputs": inputs]
    }

    /// The built-in workflow, whose nodes have the numbers of ComfyUI's example.
    private func standard(
        _ parameters: RequestParameters, source: String?, mask: String?
    ) -> [String: Any] {
        let hasLoRA = parameters.lora != nil
        let model: [Any] = [hasLoRA ? "10" : "4", 0]
        let clip: [Any] = [hasLoRA ? "10" : "4", 1]
        let latent: [Any] = [source == nil ? "5" : mask == nil ? "12" : "14", 0]
        var nodes: [String: Any] = [
            "3": Self.node(
                "KSampler",
                [
                    "seed": Int(parameters.seed), "steps": parameters.steps,
                    "cfg": parameters.guidance + 1, "sampler_name": "euler",
                    "scheduler": "normal", "denoise": parameters.source?.strength ?? 1,
                    "model": model, "positive": ["6", 0] as [Any], "negative": ["7", 0] as [Any],
                    "latent_image": latent,
                ]),
            "4": Self.node("CheckpointLoaderSimple", ["ckpt_name": self.model ?? ""]),
            "6": Self.node("CLIPTextEncode", ["clip": clip, "text": parameters.prompt]),
            "7": Self.node(
                "CLIPTextEncode", ["clip": clip, "text": parameters.negativePrompt ?? ""]),
            "8": Self.node(
                "VAEDecode", ["samples": ["3", 0] as [Any], "vae": ["4", 2] as [Any]]),
            "9": Self.node(
                "SaveImage", ["filename_prefix": "imgbench", "images": ["8", 0] as [Any]]),
        ]
        if let lora = parameters.lora {
            let scale = parameters.loraScale ?? 1
            nodes["10"] = Self.node(
                "LoraLoader",
                [
                    "lora_name": lora, "strength_model": scale, "strength_clip": scale,
                    "model": ["4", 0] as [Any], "clip": ["4", 1] as [Any],
                ])
        }
        guard let source else {
            nodes["5"] = Self.node(
                "EmptyLatentImage",
                ["width": parameters.width, "height": parameters.height, "batch_size": 1])
            return nodes
        }
        nodes["11"] = Self.node("LoadImage", ["image": source])
        nodes["15"] = Self.node(
            "ImageScale",
            [
                "image": ["11", 0] as [Any], "upscale_method": "lanczos", "crop": "disabled",
                "width": parameters.width, "height": parameters.height,
            ])
        nodes["12"] = Self.node(
            "VAEEncode", ["pixels": ["15", 0] as [Any], "vae": ["4", 2] as [Any]])
        if let mask {
            nodes["13"] = Self.node("LoadImageMask", ["image": mask, "channel": "red"])
            nodes["14"] = Self.node(
                "SetLatentNoiseMask",
                ["samples": ["12", 0] as [Any], "mask": ["13", 0] as [Any]])
        }
        return nodes
    }
}
