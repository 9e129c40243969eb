// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import HTTPTypes
import ModelFiles
import Service
import Tensors

/// The body of a launch as Xinference's clients send it; options of other engines are ignored.
struct LaunchFields {
    /// The model's name in the catalog.
    let name: String
    /// Name for requests, if another one is wanted.
    let uid: String?
    let launch: ModelLaunch

    /// Finds the model's files and reads how to run them.
    ///
    /// - Parameters:
    ///   - fields: the body.
    ///   - defaults: how the models of the command line run.
    ///   - paths: the files that may be named.
    /// - Throws: `APIError` 400, 403 for a path outside the allowed folders, 404 if there is no such model.
    init(
        _ fields: RequestFields, defaults: ModelLaunch?, paths: LaunchPaths
    ) throws(APIError) {
        try fields.refuse(Self.unsupported)
        guard let name = try fields.string("model_name") else {
            throw APIError(
                .badRequest, code: "missing_required_parameter", parameter: "model_name",
                "model_name is required: a string that names the model.")
        }
        if let type = try fields.string("model_type"), !["image", "LLM"].contains(type) {
            throw APIError.invalid("model_type", "model_type must be image, got '\(type)'.")
        }
        self.name = name
        uid = try fields.string("model_uid").flatMap { $0.isEmpty ? nil : $0 }
        let folder = try paths.model(name, at: try fields.string("model_path"))
        var launch = defaults ?? ModelLaunch(folder: folder)
        launch.folder = folder
        launch.loras = try Self.loras(fields, paths)
        launch.id = uid
        let devices = try Self.devices(fields)
        launch.devices = devices ?? launch.devices
        let replicas = try fields.integer("replica") ?? Int64(devices?.count ?? 1)
        guard (1...64).contains(replicas) else {
            throw APIError.invalid("replica", "replica must be between 1 and 64, got \(replicas).")
        }
        launch.replicas = Int(replicas)
        if let precision = try Self.precision(fields) { launch.precision = precision }
        self.launch = launch
    }

    /// The devices that are named by `device`, in the words of `--device`, or by `gpu_idx`, their numbers.
    private static func devices(_ fields: RequestFields) throws(APIError) -> [DeviceSelection]? {
        if let text = try fields.string("device") {
            guard text.utf8.count <= 256, let devices = DeviceSelection.list(argument: text) else {
                throw .invalid(
                    "device",
                    "device must be auto, cpu, vulkan, vulkan:NUMBER or vulkan:NAME, or a list of these with"
                        + " commas, got \(JSONValue.string(text).summary).")
            }
            return devices
        }
        let numbers: [JSONValue]
        switch fields.first("gpu_idx")?.value {
        case .array(let values)?: numbers = values
        case .integer(let number)?: numbers = [.integer(number)]
        case nil, .null?: return nil
        case let value?:
            throw .invalid(
                "gpu_idx", "gpu_idx must be a list of numbers of GPUs, got \(value.summary).")
        }
        return try numbers.map { value throws(APIError) in
            guard let number = try RequestFields(["gpu_idx": value]).integer("gpu_idx"),
                (0..<64).contains(number)
            else {
                throw .invalid(
                    "gpu_idx", "gpu_idx must be numbers from 0 to 63, got \(value.summary).")
            }
            return DeviceSelection.vulkan(.number(Int(number)))
        }
    }

    /// Options that would change the images.
    private static let unsupported =
        ["controlnet", "lightning_version", "lightning_model_path"].map {
            UnsupportedField($0, "this server has no such option of a launch; leave it out")
        }
        + ["gguf_quantization", "gguf_model_path"].map {
            UnsupportedField($0, "give the GGUF file, or the folder with it, as model_path")
        }

    private static func precision(_ fields: RequestFields) throws(APIError) -> PrecisionChoice? {
        guard
            let (name, value) = fields.first("precision", "transformer_quantization", "torch_dtype")
        else { return nil }
        switch value {
        case .string(let text) where text.utf8.count > 64: break
        case .string("auto"): return .auto
        case .string("f32"), .string("float32"): return .f32
        case .string("bf16"), .string("bfloat16"): return .bf16
        case .string("int8"), .string("8-bit"): return .int8
        default: break
        }
        throw .invalid(name, "\(name) must be auto, f32, bf16 or int8, got \(value.summary).")
    }

    private static func loras(
        _ fields: RequestFields, _ paths: LaunchPaths
    ) throws(APIError) -> [ModelLaunch.LoRA] {
        guard case .object(let config)? = fields.first("peft_model_config")?.value else {
            return []
        }
        try RequestFields(config).refuse(
            ["image_lora_load_kwargs", "image_lora_fuse_kwargs"].map {
                UnsupportedField($0, "use lora_scale in lora_list")
            })
        guard case .array(let list)? = config["lora_list"] else { return [] }
        var loras: [ModelLaunch.LoRA] = []
        for entry in list {
            guard case .object(let values) = entry,
                case .string(let path)? = values["local_path"]
            else {
                throw .invalid(
                    "peft_model_config",
                    "lora_list must hold objects with local_path, got \(entry.summary).")
            }
            let scale = try RequestFields(values).number("lora_scale") ?? 1
            loras.append(
                .init(file: try paths.file(path, "peft_model_config"), scale: scale))
        }
        return loras
    }
}
