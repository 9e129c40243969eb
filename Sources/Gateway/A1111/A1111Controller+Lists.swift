// Part of Inkstone. Licence: see LICENSE.

import Catalog
import Engine
import Hummingbird
import ModelFiles
import Parameters
import Service

/// A model as clients of this dialect choose it.
private struct CheckpointRow: Encodable {
    var title: String
    var model_name: String
    var hash: String?
    var sha256: String?
    var filename: String
    var config: String?

    enum CodingKeys: CodingKey { case title, model_name, hash, sha256, filename, config }

    func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(title, forKey: .title)
        try fields.encode(model_name, forKey: .model_name)
        // Present even when null.
        try fields.encode(hash, forKey: .hash)
        try fields.encode(sha256, forKey: .sha256)
        try fields.encode(filename, forKey: .filename)
        try fields.encode(config, forKey: .config)
    }
}

private struct SamplerRow: Encodable {
    var name: String
    var aliases: [String]
    var options: [String: String] = [:]

    init(_ sampler: Sampler) {
        name = sampler.label
        aliases = [sampler.rawValue] + sampler.aliases
        if sampler.evaluatesTwice { options["second_order"] = "True" }
    }
}

private struct SchedulerRow: Encodable {
    var name: String
    var label: String
    var aliases: [String]
    var default_rho = -1.0
    var need_inner_model = false

    init(_ schedule: NoiseSchedule) {
        name = schedule == .standard ? "automatic" : schedule.rawValue
        label = schedule.label
        aliases = schedule.aliases
        if schedule == .karras { default_rho = 7 }
    }
}

/// A LoRA file; its path is not exposed to clients.
private struct LoRARow: Encodable {
    var name: String
    var alias: String
    var path: String
    var metadata: [String: String] = [:]

    init(_ name: String) {
        (self.name, alias, path) = (name, name, name + ".safetensors")
    }
}

/// A mode of enlarging latents.
private struct LatentModeRow: Encodable {
    var name: String
}

private struct UpscalerRow: Encodable {
    var name: String
    var model_name: String?
    var model_path: String?
    var model_url: String?
    var scale = 4
}

private struct Options: Encodable {
    var sd_model_checkpoint: String
    var sd_checkpoint_hash = ""
    var samples_format: String
    var enable_pnginfo: Bool
    var sd_vae = "Automatic"
    var CLIP_stop_at_last_layers = 1
    var show_progress_every_n_steps = 1
    var live_previews_enable = true
}

extension A1111Controller {
    /// Lists and settings; lists of what this server does not have are empty.
    func addLists(to table: inout RouteTable) {
        table.add(
            "/sdapi/v1/options",
            [
                .get: .owner { _, context in .json(await options(of: context.owner)) },
                .post: .owner(sdapi(setOptions)),
            ])
        table.add(
            "/sdapi/v1/sd-models",
            [
                .get: .key { _, _ in
                    .json(
                        await requests.models.map {
                            CheckpointRow(title: $0.id, model_name: $0.id, filename: $0.id)
                        })
                }
            ])
        table.add(
            "/sdapi/v1/loras",
            [.get: .key { _, _ in .json(requests.loras.offers.map { LoRARow($0.name) }) }])
        list("samplers", Sampler.allCases.map(SamplerRow.init), &table)
        list("schedulers", NoiseSchedule.allCases.map(SchedulerRow.init), &table)
        list("upscalers", ["None", "Lanczos"].map { UpscalerRow(name: $0) }, &table)
        let modes = SecondPass.Upscaler.allCases.filter { $0 != .lanczos }.flatMap(\.a1111Names)
        list("latent-upscale-modes", modes.map(LatentModeRow.init), &table)
        for name in [
            "sd-vae", "sd-modules", "hypernetworks",
            "face-restorers", "realesrgan-models", "prompt-styles", "extensions", "script-info",
        ] {
            list(name, [String](), &table)
        }
        list("scripts", ["txt2img": [String](), "img2img": []], &table)
        list("embeddings", ["loaded": [String: String](), "skipped": [:]], &table)
        list("cmd-flags", [String: String](), &table)
        list("memory", ["ram": [String: Int](), "cuda": [:]], &table)
        for name in ["refresh-checkpoints", "refresh-loras", "refresh-vae"] {
            table.add("/sdapi/v1/\(name)", [.post: .key { _, _ in .json([String: String]()) }])
        }
    }

    private func list(
        _ name: String, _ value: some Encodable & Sendable, _ table: inout RouteTable
    ) {
        table.add("/sdapi/v1/\(name)", [.get: .key { _, _ in .json(value) }])
    }

    private func options(of owner: String?) async -> Options {
        let models = await requests.models
        let changed = state.options(of: owner)
        func text(_ key: String) -> String? {
            if case .string(let text)? = changed[key] { text } else { nil }
        }
        return Options(
            sd_model_checkpoint: text("sd_model_checkpoint") ?? models.first?.id ?? "",
            samples_format: text("samples_format") ?? "png",
            enable_pnginfo: changed["enable_pnginfo"].map { $0 == .bool(true) }
                ?? requests.embedsParameters)
    }

    /// Clients send the whole object back with one value changed; settings without a meaning here are
    /// ignored.
    @Sendable
    private func setOptions(_ request: Request, _ context: GatewayContext) async throws -> Response
    {
        let fields = try RequestFields(
            json: try await request.readBody(upTo: requests.limits.bodyBytes), dialect: .pydantic)
        var changed: [String: JSONValue] = [:]
        if let name = try fields.string("sd_model_checkpoint"), !name.isEmpty {
            let models = await requests.models
            guard let model = models.first(where: { $0.id == name || $0.name == name }) else {
                throw APIError.noSuchModel(name, known: models.map(\.id))
            }
            changed["sd_model_checkpoint"] = .string(model.id)
        }
        if let format = try fields.choice("samples_format", of: ["png", "jpg", "jpeg", "webp"]) {
            changed["samples_format"] = .string(format)
        }
        if let embeds = try fields.bool("enable_pnginfo"), embeds != requests.embedsParameters {
            changed["enable_pnginfo"] = .bool(embeds)
        }
        state.setOptions(changed, of: context.owner)
        return .json(String?.none)
    }
}
