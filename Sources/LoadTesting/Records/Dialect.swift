// Part of Inkstone. Licence: see LICENSE.

/// The HTTP interface through which a run talks to its server.
public enum Dialect: String, Codable, Sendable, CaseIterable {
    /// `POST /v1/images/generations`, one response with base64.
    case openAI = "openai"
    /// The same with `stream: true`: partial images as server-sent events.
    case openAIStream = "openai-stream"
    /// The same path as Xinference's client sends it: extra parameters as JSON text in `kwargs`.
    case xinference
    /// `POST /sdapi/v1/txt2img`; previews come from polling `/sdapi/v1/progress`.
    case a1111
    /// `POST /api/jobs`, then the job's events, then the image.
    case jobs
    /// stable-diffusion.cpp's server: `POST /sdapi/v1/txt2img` or `img2img`, with its own parameters in the prompt.
    case sdcpp
    /// SGLang-Diffusion: `POST /v1/images/generations` or `edits`.
    case sglang
    /// vLLM-Omni: `POST /v1/images/generations` or `edits`.
    case vllmOmni = "vllm-omni"
    /// LocalAI: `POST /v1/images/generations`, with a source image in `file`.
    case localAI = "localai"
    /// ComfyUI: `POST /prompt` with a workflow, polling of `/history`, then `/view`.
    case comfyUI = "comfyui"
}
