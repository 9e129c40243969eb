// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Imaging

/// Calls that are sent one after the other to one service.
enum GoldenScenario: String, CaseIterable {
    /// A service that generates images at once.
    case ready
    /// A service whose generator never ends.
    case hanging
    /// A service whose queue is full.
    case busy
    /// A service whose generator fails after the first step.
    case failing
    /// A service without a model.
    case empty
    /// A service that asks for keys; `{key}` is one of the scope generate with one request a minute.
    case keys

    func calls() throws -> [GoldenCall] {
        switch self {
        case .ready:
            try Self.openAI() + Self.forms() + Self.xinference + Self.a1111() + Self.gradio
                + Self.jobs + Self.service
        case .hanging: Self.hangingCalls
        case .busy: Self.busyCalls
        case .failing: Self.failingCalls
        case .empty: Self.emptyCalls
        case .keys: Self.keyCalls
        }
    }

    static func png(_ width: Int, _ height: Int, _ red: UInt8) throws -> [UInt8] {
        try ImageEncoder.encode(
            try RGBImage(width: width, height: height, filledWith: (red, 80, 200)))
    }

    // MARK: - Dialects

    private static func openAI() -> [GoldenCall] {
        let path = "/v1/images/generations"
        return [
            GoldenCall(
                "two images in base64", "POST", path,
                json: """
                    {"prompt": "a red apple", "negative_prompt": "blurry", "n": 2, "size": "32x16",
                     "seed": 5, "response_format": "b64_json", "num_inference_steps": 2,
                     "guidance_scale": 3, "cfg_normalization": 0.5, "cfg_truncation": 0.9,
                     "user": "someone", "quality": "auto"}
                    """
            ).header("x-request-id", "mine-1"),
            GoldenCall(
                "an image by its address", "POST", path,
                json: #"{"model": "maker/large", "prompt": "一个红苹果", "seed": 6}"#
            ).capturing("file", #"/v1/images/files/([^"]+)"#),
            GoldenCall("the file of an address", "GET", "/v1/images/files/{file}"),
            GoldenCall("a file that does not exist", "GET", "/v1/images/files/none.png"),
            GoldenCall(
                "a stream with a partial image", "POST", path,
                json: """
                    {"prompt": "a kite", "seed": 7, "stream": true, "partial_images": 1,
                     "num_inference_steps": 3, "size": "32x16", "output_format": "png"}
                    """),
            GoldenCall(
                "a WebP file", "POST", path,
                json: """
                    {"prompt": "a kite", "seed": 8, "output_format": "webp",
                     "output_compression": 80, "response_format": "b64_json"}
                    """),
            GoldenCall(
                "an image with LoRA files", "POST", path,
                json: """
                    {"prompt": "a cat", "seed": 9, "response_format": "b64_json",
                     "loras": [{"name": "pixel", "scale": -0.5}, "sketch"], "priority": "high"}
                    """),
            GoldenCall("no prompt", "POST", path, json: "{}"),
            GoldenCall(
                "a size that is not possible", "POST", path,
                json: #"{"prompt": "x", "size": "33x16"}"#),
            GoldenCall("too many images", "POST", path, json: #"{"prompt": "x", "n": 9}"#),
            GoldenCall(
                "a field of another type", "POST", path, json: #"{"prompt": "x", "n": "two"}"#),
            GoldenCall(
                "a model that does not exist", "POST", path,
                json: #"{"prompt": "x", "model": "none"}"#),
            GoldenCall(
                "a LoRA file that does not exist", "POST", path,
                json: #"{"prompt": "x", "loras": ["none"]}"#),
            GoldenCall("a body that is not JSON", "POST", path, json: #"{"prompt": "#),
        ]
    }

    private static func forms() throws -> [GoldenCall] {
        typealias Form = EditRouteTests
        let (image, mask) = (try png(40, 24, 9), try png(40, 24, 255))
        return [
            GoldenCall(
                "an edit with a mask", "/v1/images/edits",
                form: [
                    Form.text("prompt", "a \"cat\""), Form.text("n", "2"), Form.text("seed", "4"),
                    Form.text("strength", "0.5"), Form.text("response_format", "b64_json"),
                    ("image", "a.png", image), ("mask_image", "m.png", mask),
                ]),
            GoldenCall(
                "an edit without an image", "/v1/images/edits", form: [Form.text("prompt", "x")]),
            GoldenCall(
                "an edit of bytes that are not an image", "/v1/images/edits",
                form: [Form.text("prompt", "x"), ("image", "a.png", [1, 2, 3])]),
            GoldenCall(
                "a variation as a stream", "/v1/images/variations",
                form: [
                    ("image", "a.png", image), Form.text("stream", "true"),
                    Form.text("partial_images", "1"), Form.text("seed", "3"),
                ]),
            GoldenCall(
                "inpainting", "/v1/images/inpainting",
                form: [
                    Form.text("prompt", "x"), Form.text("seed", "2"), ("image", "a.png", image),
                    ("mask_image", "m.png", mask), Form.text("response_format", "b64_json"),
                ]),
            GoldenCall("an edit without a form", "POST", "/v1/images/edits", json: "{}"),
        ]
    }

    private static let xinference = [
        GoldenCall("models", "GET", "/v1/models"),
        GoldenCall("a model with a slash", "GET", "/v1/models/maker/large"),
        GoldenCall("an unknown model", "GET", "/v1/models/none"),
        GoldenCall(
            "a launch of what runs", "POST", "/v1/models",
            json: #"{"model_name": "tiny", "model_type": "image", "model_uid": null}"#),
        GoldenCall(
            "a launch of an unknown model", "POST", "/v1/models",
            json: #"{"model_name": "FLUX.1-dev"}"#),
        GoldenCall("progress of a launch", "GET", "/v1/models/tiny/progress"),
        GoldenCall("progress of a call", "GET", "/v1/requests/mine-1/progress"),
        GoldenCall("progress of an unknown call", "GET", "/v1/requests/none/progress"),
        GoldenCall(
            "an abort of a finished call", "POST", "/v1/models/tiny/requests/mine-1/abort",
            json: #"{"block_duration": 30}"#),
        GoldenCall("whether keys are needed", "GET", "/v1/cluster/auth"),
        GoldenCall("devices", "GET", "/v1/cluster/devices"),
        GoldenCall("registrations of another type", "GET", "/v1/model_registrations/LLM"),
        GoldenCall("the status of the cluster", "GET", "/status"),
    ]

    private static func a1111() throws -> [GoldenCall] {
        let file = Data(try png(64, 16, 1)).base64EncodedString()
        return [
            GoldenCall(
                "txt2img", "POST", "/sdapi/v1/txt2img",
                json: """
                    {"prompt": "a cat <lora:pixel:0.8>", "negative_prompt": "dog", "seed": 5,
                     "steps": 3, "cfg_scale": 3, "width": 32, "height": 32, "batch_size": 2,
                     "sampler_name": "Euler",
                     "override_settings": {"sd_model_checkpoint": "maker/large"}}
                    """),
            GoldenCall(
                "img2img", "POST", "/sdapi/v1/img2img",
                json: """
                    {"prompt": "x", "init_images": ["data:image/png;base64,\(file)"], "width": 32,
                     "height": 32, "resize_mode": 1, "denoising_strength": 0.5, "seed": 1,
                     "mask": "\(file)", "inpainting_mask_invert": 1}
                    """),
            GoldenCall("img2img without an image", "POST", "/sdapi/v1/img2img", json: "{}"),
            GoldenCall(
                "txt2img of a size that is not possible", "POST", "/sdapi/v1/txt2img",
                json: #"{"prompt": "x", "width": 33}"#),
            GoldenCall("progress of the web UI", "GET", "/sdapi/v1/progress"),
            GoldenCall("options", "GET", "/sdapi/v1/options"),
            GoldenCall(
                "other options", "POST", "/sdapi/v1/options", json: #"{"samples_format": "png"}"#),
            GoldenCall("checkpoints", "GET", "/sdapi/v1/sd-models"),
            GoldenCall("samplers", "GET", "/sdapi/v1/samplers"),
            GoldenCall("LoRA files of the web UI", "GET", "/sdapi/v1/loras"),
            GoldenCall(
                "parameters of a file without any", "POST", "/sdapi/v1/png-info",
                json: #"{"image": "\#(file)"}"#),
        ]
    }

    private static let gradio = [
        GoldenCall("the interface", "GET", "/config"),
        GoldenCall("its endpoints", "GET", "/gradio_api/info"),
        GoldenCall(
            "joining the queue", "POST", "/gradio_api/queue/join",
            json: """
                {"data": ["a cat", "", 5, 32, 16, 3, 0, 1], "fn_index": 0, "session_hash": "s"}
                """),
        GoldenCall("events of a session", "GET", "/gradio_api/queue/data?session_hash=s"),
        GoldenCall(
            "a call that is refused", "POST", "/gradio_api/call/generate",
            json: #"{"data": ["a cat", "", 5, 33]}"#),
        GoldenCall(
            "a call", "POST", "/gradio_api/call/generate",
            json: #"{"data": ["a cat", "", 5, 32, 16, 2]}"#
        ).capturing("event", #""event_id":\s*"([^"]+)""#),
        GoldenCall("its events", "GET", "/gradio_api/call/generate/{event}"),
        GoldenCall("a session without a name", "POST", "/gradio_api/queue/join", json: "{}"),
        GoldenCall("a file outside", "GET", "/gradio_api/file=/etc/passwd"),
    ]

    // MARK: - Our own interface

    private static let jobs = [
        GoldenCall("a job by the client's id", "GET", "/api/jobs/mine-1"),
        GoldenCall("events of a finished job", "GET", "/api/jobs/mine-1/events"),
        GoldenCall("a list of jobs", "GET", "/api/jobs?state=succeeded&limit=2&q=kite"),
        GoldenCall("an unknown state", "GET", "/api/jobs?state=lost"),
        GoldenCall("an unknown job", "GET", "/api/jobs/none"),
        GoldenCall("an image that does not exist", "GET", "/api/jobs/mine-1/images/7"),
        GoldenCall("an estimate", "POST", "/api/estimate", json: #"{"prompt": "a kite", "n": 2}"#)
            .dropping("seconds"),
        GoldenCall(
            "an estimate of what is not possible", "POST", "/api/estimate",
            json: #"{"prompt": "p", "strength": 0}"#),
    ]

    private static let service = [
        GoldenCall("models of the page", "GET", "/api/models"),
        GoldenCall("LoRA files", "GET", "/api/loras"),
        GoldenCall("a LoRA file without a folder", "POST", "/api/loras?name=mine", json: "x"),
        GoldenCall("models with files", "GET", "/api/catalog"),
        GoldenCall(
            "a download of nonsense", "POST", "/api/catalog",
            json: #"{"repository": "nonsense"}"#),
        GoldenCall("tasks of the catalog", "GET", "/api/catalog-tasks"),
        GoldenCall("the status", "GET", "/api/status"),
        GoldenCall("alive", "GET", "/livez"),
        GoldenCall("ready", "GET", "/readyz"),
        GoldenCall("health", "GET", "/health"),
        GoldenCall("the version", "GET", "/version"),
        GoldenCall("metrics", "GET", "/metrics").recording(.metricNames),
        GoldenCall("the page", "GET", "/").recording(.none),
        GoldenCall("the page's head", "HEAD", "/").recording(.none),
        GoldenCall("the description of the interface", "GET", "/api/openapi.json")
            .recording(.none),
        GoldenCall("no such path", "GET", "/nothing"),
        GoldenCall("no such method", "DELETE", "/api/models"),
        GoldenCall("a foreign origin", "GET", "/v1/models").header("origin", "https://evil.org"),
        GoldenCall("a known origin", "OPTIONS", "/v1/models")
            .header("origin", "https://example.org")
            .header("access-control-request-method", "POST"),
    ]

    // MARK: - Other services

    private static let hangingCalls = [
        GoldenCall(
            "a job that waits", "POST", "/api/jobs",
            json: #"{"prompt": "a kite", "seed": 3, "n": 2, "deadline": 600}"#
        ).header("x-request-id", "mine-2").dropping(
            "state", "progress", "attempts", "started", "finished"),
        GoldenCall("removing a job that is not final", "DELETE", "/api/jobs/mine-2"),
        GoldenCall("cancelling a job", "POST", "/api/jobs/mine-2/cancel")
            .dropping("state", "progress", "attempts", "started", "finished"),
    ]

    private static let busyCalls = [
        GoldenCall(
            "a full queue", "POST", "/v1/images/generations", json: #"{"prompt": "x", "seed": 1}"#),
        GoldenCall(
            "a full queue of the web UI", "POST", "/sdapi/v1/txt2img",
            json: #"{"prompt": "x", "seed": 1}"#),
        GoldenCall(
            "a stream of a full queue", "POST", "/v1/images/generations",
            json: #"{"prompt": "x", "seed": 1, "stream": true}"#),
    ]

    private static let failingCalls = [
        GoldenCall(
            "a failure", "POST", "/v1/images/generations", json: #"{"prompt": "x", "seed": 1}"#
        ).header("x-request-id", "mine-3"),
        GoldenCall(
            "a stream that fails", "POST", "/v1/images/generations",
            json: #"{"prompt": "x", "seed": 1, "stream": true}"#),
        GoldenCall("a failed job", "GET", "/api/jobs/mine-3"),
        GoldenCall("events of a failed job", "GET", "/api/jobs/mine-3/events"),
    ]

    private static let emptyCalls = [
        GoldenCall(
            "an image without a model", "POST", "/v1/images/generations",
            json: #"{"prompt": "x"}"#),
        GoldenCall("not ready", "GET", "/readyz"),
        GoldenCall("no models", "GET", "/v1/models"),
    ]

    private static let keyCalls = [
        GoldenCall("no key", "GET", "/v1/models"),
        GoldenCall("no key for the web UI", "GET", "/sdapi/v1/options"),
        GoldenCall("a wrong key", "GET", "/v1/models").header("authorization", "Bearer ink-wrong"),
        GoldenCall("a key of another scope", "GET", "/api/catalog")
            .header("authorization", "Bearer {key}"),
        GoldenCall(
            "an image with a key", "POST", "/v1/images/generations",
            json: #"{"prompt": "x", "seed": 1, "response_format": "b64_json"}"#
        ).header("authorization", "Bearer {key}"),
        GoldenCall(
            "a priority above the key's", "POST", "/v1/images/generations",
            json: #"{"prompt": "x", "priority": "high"}"#
        ).header("authorization", "Bearer {key}"),
        GoldenCall(
            "too many requests", "POST", "/v1/images/generations", json: #"{"prompt": "x"}"#
        ).header("authorization", "Bearer {key}").dropping("retry-after"),
    ]
}
