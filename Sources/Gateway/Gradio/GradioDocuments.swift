// Part of Inkstone. Licence: see LICENSE.

import Engine
import ModelFiles
import Parameters

/// The description of the one function that Gradio's clients can call.
///
/// - Source: gradio_client 2.7, which needs no more than this of a page's description.
enum GradioDocuments {
    /// The version of the protocol that is spoken.
    private static let version: JSONValue = "6.31.0"

    /// The inputs in their order: name, types, and default value.
    private static func parameters(
        _ model: ModelDescription
    ) -> [(name: String, type: JSONValue, python: JSONValue, standard: JSONValue?)] {
        let defaults = model.defaults
        return [
            ("prompt", "string", "str", nil),
            ("negative_prompt", "string", "str", ""),
            ("seed", "integer", "int", -1),
            ("width", "integer", "int", .integer(Int64(defaults.size.width))),
            ("height", "integer", "int", .integer(Int64(defaults.size.height))),
            ("steps", "integer", "int", .integer(Int64(defaults.steps))),
            ("guidance_scale", "number", "float", .number(defaults.guidanceScale)),
            ("count", "integer", "int", 1),
            ("loras", "string", "str", ""),
            ("sampler", "string", "str", .string(Sampler.euler.rawValue)),
            ("scheduler", "string", "str", .string(NoiseSchedule.standard.rawValue)),
            ("shift", "number", "float", 0),
        ]
    }

    /// Names of the inputs in their order.
    static let names = [
        "prompt", "negative_prompt", "seed", "width", "height", "steps", "guidance_scale", "count",
        "loras", "sampler", "scheduler", "shift",
    ]

    /// `/config`: the components and the function.
    static func config(_ model: ModelDescription) -> JSONValue {
        let inputs = parameters(model).enumerated().map { index, parameter -> JSONValue in
            [
                "id": .integer(Int64(index + 1)),
                "type": parameter.type == "string" ? "textbox" : "number",
                "skip_api": false, "api_info": ["type": parameter.type],
                "props": ["label": .string(parameter.name)],
            ]
        }
        let (gallery, seed) = (Int64(inputs.count + 1), Int64(inputs.count + 2))
        let outputs: [JSONValue] = [
            [
                "id": .integer(gallery), "type": "gallery", "skip_api": false,
                "api_info": ["type": "array"], "props": ["label": "images"],
            ],
            [
                "id": .integer(seed), "type": "number", "skip_api": false,
                "api_info": ["type": "integer"], "props": ["label": "seed"],
            ],
        ]
        return [
            "version": version, "api_prefix": "/gradio_api", "protocol": "sse_v3",
            "connect_heartbeat": false, "title": "Inkstone", "max_file_size": nil,
            "components": .array(inputs + outputs),
            "dependencies": [
                [
                    "id": 0,
                    "inputs": .array((1...inputs.count).map { .integer(Int64($0)) }),
                    "outputs": [.integer(gallery), .integer(seed)],
                    "api_name": "generate", "api_visibility": "public", "backend_fn": true,
                    "queue": true, "types": ["generator": true, "cancel": true],
                ]
            ],
        ]
    }

    /// `/gradio_api/info`: the parameters and results of the function.
    static func info(_ model: ModelDescription) -> JSONValue {
        let inputs = parameters(model).map { parameter -> JSONValue in
            [
                "label": .string(parameter.name), "parameter_name": .string(parameter.name),
                "parameter_has_default": .bool(parameter.standard != nil),
                "parameter_default": parameter.standard ?? nil,
                "type": ["type": parameter.type],
                "python_type": ["type": parameter.python, "description": ""],
                "component": parameter.type == "string" ? "Textbox" : "Number",
                "example_input": parameter.standard ?? "a red apple",
            ]
        }
        return [
            "named_endpoints": [
                "/generate": [
                    "parameters": .array(inputs),
                    "returns": [
                        [
                            "label": "images", "type": ["type": "array"],
                            "python_type": [
                                "type": "list[dict(image: filepath, caption: str | None)]",
                                "description": "",
                            ], "component": "Gallery",
                        ],
                        [
                            "label": "seed", "type": ["type": "integer"],
                            "python_type": ["type": "int", "description": ""],
                            "component": "Number",
                        ],
                    ], "api_visibility": "public",
                ]
            ], "unnamed_endpoints": [:],
        ]
    }
}
