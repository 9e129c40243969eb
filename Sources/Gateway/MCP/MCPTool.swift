// Part of Inkstone. Licence: see LICENSE.

import ModelFiles

/// A tool that clients may call, with the JSON Schema of its arguments.
enum MCPTool: String, CaseIterable {
    case generateImage = "generate_image"
    case editImage = "edit_image"
    case listModels = "list_models"
    case listLoRAs = "list_loras"
    case getJob = "get_job"
    case cancelJob = "cancel_job"

    /// The tool as `tools/list` describes it.
    var description: JSONValue {
        let (title, text) = words
        return [
            "name": .string(rawValue), "title": .string(title), "description": .string(text),
            "inputSchema": [
                "type": "object", "additionalProperties": false,
                "properties": .object(arguments),
                "required": .array(required.map(JSONValue.string)),
            ],
            "annotations": [
                "readOnlyHint": .bool(isReading), "destructiveHint": .bool(self == .cancelJob),
                "idempotentHint": .bool(isReading || self == .cancelJob), "openWorldHint": false,
            ],
        ]
    }

    /// Whether the tool changes nothing.
    private var isReading: Bool { [.listModels, .listLoRAs, .getJob].contains(self) }

    private var words: (title: String, text: String) {
        switch self {
        case .generateImage:
            (
                "Generate images",
                "Generates images from a prompt in English or Chinese. Returns the images, and a name for each, such as"
                    + " JOB/0, which edit_image accepts."
            )
        case .editImage:
            (
                "Edit an image",
                "Generates an image from an image: in full, as far as strength says, or only where a mask is white."
            )
        case .listModels:
            (
                "List models",
                "Lists the models that are loaded, with their default sizes, steps and limits."
            )
        case .listLoRAs:
            ("List LoRAs", "Lists the LoRA files that loras may name, with their default scales.")
        case .getJob:
            (
                "Get a job",
                "Returns the state of a job and its finished images. A call whose connection was lost goes on as a job."
            )
        case .cancelJob: ("Cancel a job", "Stops a job that waits or runs.")
        }
    }

    /// Arguments that must be there.
    private var required: [String] {
        switch self {
        case .generateImage: ["prompt"]
        case .editImage: ["prompt", "image"]
        case .listModels, .listLoRAs: []
        case .getJob, .cancelJob: ["job"]
        }
    }

    /// Schemas of the arguments by name; a call with any other is refused.
    var arguments: [String: JSONValue] {
        switch self {
        case .generateImage: Self.generation
        case .editImage: Self.generation.merging(Self.edit) { $1 }
        case .listModels, .listLoRAs: [:]
        case .getJob: ["job": Self.job, "format": Self.format]
        case .cancelJob: ["job": Self.job]
        }
    }

    private static let job: JSONValue = ["type": "string", "description": "Id of the job."]

    /// JPEG is the default: clients limit the size of a tool's result.
    private static let format: JSONValue = [
        "type": "string", "enum": ["jpeg", "png", "webp"], "default": "jpeg",
        "description": "Format of the images in the answer; the server keeps a PNG of each.",
    ]

    private static let edit: [String: JSONValue] = [
        "image": [
            "type": "string",
            "description":
                "The image to start from: the name of an earlier one, such as JOB/0, or a file in base64.",
        ],
        "mask": [
            "type": "string",
            "description":
                "An image of the same size, white where it is generated again: a name or a file in base64.",
        ],
        "strength": [
            "type": "number", "minimum": 0, "maximum": 1,
            "description":
                "How far the image changes; 0.6 without a mask and 1 with one if absent.",
        ],
    ]

    private static let generation: [String: JSONValue] = [
        "prompt": ["type": "string", "description": "What the image shows."],
        "negative_prompt": [
            "type": "string",
            "description": "What it does not show; needs a guidance_scale above 0.",
        ],
        "model": ["type": "string", "description": "A model of list_models; the first if absent."],
        "size": [
            "type": "string",
            "description": "WIDTHxHEIGHT in pixels, multiples of 16; the model's own if absent.",
        ],
        "n": [
            "type": "integer", "minimum": 1, "maximum": 10,
            "description": "Number of images; 1 if absent.",
        ],
        "seed": [
            "type": "integer",
            "description":
                "The same request with the same seed gives the same image; random if absent.",
        ],
        "steps": [
            "type": "integer", "minimum": 1,
            "description": "Steps of the sampler; the model's own if absent.",
        ],
        "guidance_scale": [
            "type": "number", "minimum": 0,
            "description":
                "How closely the image follows the prompt, for models that need it; the model's own if absent.",
        ],
        "sampler": [
            "type": "string",
            "description": "Name of a sampler such as euler or dpmpp_2m; euler if absent.",
        ],
        "scheduler": [
            "type": "string",
            "description": "Name of a schedule of noise levels; simple if absent.",
        ],
        "loras": [
            "type": "array", "description": "LoRA files of list_loras that change the style.",
            "items": [
                "type": "object", "required": ["name"],
                "properties": ["name": ["type": "string"], "scale": ["type": "number"]],
            ],
        ],
        "format": format,
    ]
}
