// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Imaging
import NIOHTTP1

extension Dialect {
    /// Whether a server of the dialect has a path; all have those for tests.
    func serves(_ path: String) -> Bool {
        if ["/metrics", "/readyz", "/version"].contains(path) { return true }
        switch self {
        case .openAI, .openAIStream, .sglang, .vllmOmni:
            return ["/v1/images/generations", "/v1/images/edits"].contains(path)
        case .xinference:
            return path.hasPrefix("/v1/images/") && path != "/v1/images/edits"
        case .localAI: return path == "/v1/images/generations"
        case .a1111, .sdcpp: return path.hasPrefix("/sdapi/v1/")
        case .jobs: return path.hasPrefix("/api/jobs")
        case .comfyUI:
            return ["/prompt", "/view", "/upload/image"].contains(path)
                || path.hasPrefix("/history/")
        }
    }

    /// The fields that the documentation of the server names for a path; `nil` where others are ignored.
    func documentedFields(_ path: String) -> Set<String>? {
        let isEdit = path.hasSuffix("/edits")
        switch self {
        case .sglang:
            var fields: Set = [
                "model", "prompt", "n", "quality", "response_format", "size", "background",
                "output_format", "user", "num_inference_steps", "guidance_scale", "true_cfg_scale",
                "seed", "generator_device", "negative_prompt", "output_compression",
            ]
            if isEdit { fields.formUnion(["image", "image[]", "url", "url[]", "mask"]) }
            return fields
        case .vllmOmni:
            var fields: Set = [
                "prompt", "model", "n", "size", "response_format", "user", "negative_prompt",
                "num_inference_steps", "guidance_scale", "true_cfg_scale", "seed",
            ]
            if isEdit {
                fields.formUnion([
                    "image", "url", "output_format", "output_compression", "background", "stream",
                    "reference_image", "mask_image",
                ])
            }
            return fields
        case .localAI:
            return [
                "model", "prompt", "negative_prompt", "size", "n", "step", "mode", "seed",
                "response_format", "file", "ref_images",
            ]
        case .sdcpp:
            var fields: Set = [
                "prompt", "negative_prompt", "width", "height", "steps", "cfg_scale", "seed",
                "batch_size", "clip_skip", "sampler_name", "scheduler", "lora", "extra_images",
                "denoising_strength", "sample_params", "control_image", "control_strength",
            ]
            if path.hasSuffix("img2img") {
                fields.formUnion(["init_images", "mask", "inpainting_mask_invert"])
            }
            return fields
        default: return nil
        }
    }
}

extension MockService {
    /// Responds as ComfyUI: uploads, prompts, their history, and images.
    func comfyUI(_ request: MockRequest, _ response: MockResponse) {
        switch request.path {
        case "/upload/image": upload(request, response)
        case "/prompt": prompt(request, response)
        case "/view":
            let name = URLComponents(string: request.head.uri)?.queryItems?.first {
                $0.name == "filename"
            }?.value
            guard let job = jobs[name?.replacing(".png", with: "") ?? ""], let file = job.file
            else {
                response.send(404, "text/plain", [])
                return
            }
            response.send(200, "image/png", file)
        default:
            let id = String(request.path.dropFirst("/history/".count))
            guard let job = jobs[id], job.file != nil else {
                response.send(200, "application/json", Array("{}".utf8))
                return
            }
            let images = #"[{"filename":"\#(id).png","subfolder":"","type":"output"}]"#
            finish(
                response,
                #"{"\#(id)":{"outputs":{"9":{"images":\#(images)}},"status":{"status_str":"success"}}}"#
            )
        }
    }

    private func upload(_ request: MockRequest, _ response: MockResponse) {
        guard let fields = MockFields(request), let file = fields.files["image"] else {
            response.send(400, "text/plain", [])
            return
        }
        let name = "upload-\(uploads.count).png"
        uploads[name] = file
        response.send(
            200, "application/json",
            Array(#"{"name":"\#(name)","subfolder":"","type":"input"}"#.utf8))
    }

    private func prompt(_ request: MockRequest, _ response: MockResponse) {
        guard let body = MockFields(request), let nodes = body.values["prompt"] as? [String: Any],
            let parameters = comfyUIParameters(nodes)
        else {
            response.send(
                400, "application/json",
                Array(#"{"error":{"type":"invalid_prompt"},"node_errors":{}}"#.utf8))
            return
        }
        guard !fails(response) else { return }
        let id = "prompt-\(jobs.count)"
        let job = MockJob()
        jobs[id] = job
        // The facts of the job are not those of this response.
        let work = MockResponse(channel: response.channel, request: request, self)
        generate(parameters, work) { [self] file in
            job.file = file
            metrics.countImage(work.facts, self)
        }
        guard work.status == 200 else { return }
        response.send(
            200, "application/json",
            Array(#"{"prompt_id":"\#(id)","number":1,"node_errors":{}}"#.utf8))
    }

    /// The parameters of a workflow with the nodes of the built-in one; `nil` when a node is missing.
    private func comfyUIParameters(_ nodes: [String: Any]) -> MockParameters? {
        func inputs(_ type: String) -> [String: Any]? {
            for node in nodes.values.compactMap({ $0 as? [String: Any] })
            where node["class_type"] as? String == type { return node["inputs"] as? [String: Any] }
            return nil
        }
        func text(of link: Any?) -> String? {
            guard let name = (link as? [Any])?.first as? String,
                let node = nodes[name] as? [String: Any]
            else { return nil }
            return (node["inputs"] as? [String: Any])?["text"] as? String
        }
        let number = { (value: Any?) in (value as? NSNumber)?.doubleValue }
        guard let sampler = inputs("KSampler"), inputs("SaveImage") != nil,
            inputs("CheckpointLoaderSimple")?["ckpt_name"] is String,
            let size = inputs("EmptyLatentImage") ?? inputs("ImageScale"),
            let width = number(size["width"]), let height = number(size["height"]),
            let steps = number(sampler["steps"]), let seed = number(sampler["seed"]),
            let cfg = number(sampler["cfg"]), let prompt = text(of: sampler["positive"])
        else { return nil }
        var parameters = MockParameters(
            prompt: prompt, width: Int(width), height: Int(height), steps: Int(steps),
            seed: Int(seed), guidance: cfg - 1, format: .png)
        parameters.strength = number(sampler["denoise"]) ?? 1
        parameters.source = (inputs("LoadImage")?["image"] as? String).flatMap { uploads[$0] }
        parameters.mask = (inputs("LoadImageMask")?["image"] as? String).flatMap { uploads[$0] }
        if let lora = inputs("LoraLoader")?["lora_name"] as? String { parameters.lora = lora }
        return parameters
    }
}
