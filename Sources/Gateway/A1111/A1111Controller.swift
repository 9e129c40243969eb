// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import HTTPTypes
import Hummingbird
import Imaging
import ModelFiles
import Parameters
import Service

/// The API of AUTOMATIC1111's web UI, under `/sdapi/v1`.
struct A1111Controller: Controller {
    let requests: RequestService
    let reader: ImageReader
    /// Version that answers name.
    let version: String
    /// Calls in progress and settings.
    let state = A1111State()

    /// The routes of images, progress, settings and lists.
    func addRoutes(to table: inout RouteTable) {
        table.add("/sdapi/v1/txt2img", [.post: .key(sdapi(generate))])
        table.add("/sdapi/v1/img2img", [.post: .key(sdapi(generate))])
        table.add("/sdapi/v1/progress", [.get: .owner(progress)])
        table.add("/sdapi/v1/interrupt", [.post: .owner(interrupt)])
        table.add("/sdapi/v1/skip", [.post: .owner(interrupt)])
        table.add("/sdapi/v1/png-info", [.post: .key(sdapi(pngInfo))])
        addLists(to: &table)
        addControls(to: &table)
    }

    /// Answers 422 instead of 400 for an invalid field, as this dialect does.
    func sdapi(_ handler: @escaping Handler) -> Handler {
        { request, context in
            do {
                return try await handler(request, context)
            } catch var error as APIError
                where error.status == .badRequest && error.code != APIError.unknownSampler
            {
                error.status = .unprocessableContent
                throw error
            } catch let error as RequestError {
                var error = APIError(error)
                error.status = .unprocessableContent
                throw error
            }
        }
    }

    // MARK: - Progress

    @Sendable
    private func progress(
        _ request: Request, _ context: GatewayContext
    ) async throws -> Response {
        struct State: Encodable {
            var skipped = false
            var interrupted = false
            var job = ""
            var job_count = 0
            var job_timestamp = "0"
            var job_no = 0
            var sampling_step = 0
            var sampling_steps = 0
        }
        struct Answer: Encodable {
            var progress = 0.0
            var eta_relative = 0.0
            var state = State()
            var current_image: String?
            var textinfo: String?

            enum CodingKeys: CodingKey {
                case progress, eta_relative, state, current_image, textinfo
            }

            func encode(to encoder: any Encoder) throws {
                var fields = encoder.container(keyedBy: CodingKeys.self)
                try fields.encode(progress, forKey: .progress)
                try fields.encode(eta_relative, forKey: .eta_relative)
                try fields.encode(state, forKey: .state)
                try fields.encode(current_image, forKey: .current_image)
                try fields.encode(textinfo, forKey: .textinfo)
            }
        }
        var answer = Answer()
        let calls = state.calls(of: context.owner)
        for call in calls {
            guard let job = call.job,
                let progress = await requests.jobs.progress(job, for: context.access)
            else { continue }
            let steps = max(1, progress.steps)
            answer.progress = min(0.99, progress.share)
            answer.eta_relative = progress.secondsLeft ?? 0
            answer.state.job = call.task
            answer.state.job_count = calls.count
            answer.state.job_timestamp = A1111Answer.timestamp(Date())
            answer.state.sampling_step = progress.stepsDone
            answer.state.sampling_steps = steps
            if request.uri.queryParameters["skip_current_image"] != "true",
                let preview = progress.preview
            {
                let file = try ImageFile.encode(preview, as: .png, quality: 95)
                answer.current_image = Data(file).base64EncodedString()
            }
            break
        }
        return .json(answer)
    }

    @Sendable
    private func interrupt(
        _ request: Request, _ context: GatewayContext
    ) async throws -> Response {
        for job in state.interrupt(context.owner) {
            await requests.jobs.cancel(job, for: context.access)
        }
        return .json([String: String]())
    }

    // MARK: - Image files

    @Sendable
    private func pngInfo(_ request: Request, _ context: GatewayContext) async throws -> Response {
        struct Answer: Encodable {
            var info: String
            var items: [String: String]
            var parameters: [String: String]
            /// The LoRA files that the text names, in pairs or in tags of the prompt.
            var loras: [LoRAScale]
        }
        let fields = try RequestFields(
            json: try await request.readBody(upTo: requests.limits.uploadBytes),
            dialect: .pydantic)
        let decoded = try await reader.image(
            base64: try fields.text("image") ?? "", field: "image")
        let text = decoded.metadata.parameters ?? ""
        var parameters: [String: String] = [:]
        var loras: [LoRAScale] = []
        if let parsed = GenerationParameters(parsing: text) {
            let isOwn = parsed.version?.hasPrefix("Inkstone ") == true
            loras = Self.loras(of: parsed, isOwn: isOwn)
            parameters = [
                "Prompt": isOwn ? parsed.taggedPrompt : parsed.prompt,
                "Negative prompt": parsed.negativePrompt,
                "Steps": parsed.steps.map(String.init), "Seed": parsed.seed.map(String.init),
                "CFG scale": parsed.cfgScale.map { "\($0)" }, "Model": parsed.model,
                "Sampler": parsed.sampler, "Schedule type": parsed.scheduleType,
                "Size-1": parsed.width.map(String.init),
                "Size-2": parsed.height.map(String.init),
            ].compactMapValues(\.self)
        }
        let items = Dictionary(
            decoded.metadata.entries.map { ($0.key, $0.text) }, uniquingKeysWith: { $1 })
        return .json(Answer(info: text, items: items, parameters: parameters, loras: loras))
    }

    /// The adapters of a file's text: its pairs, and beside those the tags that other programs write.
    private static func loras(
        of parameters: GenerationParameters, isOwn: Bool
    ) -> [LoRAScale] {
        var loras = parameters.loras.map {
            LoRAScale($0.name, scale: $0.scale, textScale: $0.textScale)
        }
        // What looks like a tag in a prompt of this program is not one.
        guard !isOwn, let tags = try? PromptLoRAs(parameters.prompt) else { return loras }
        for tag in tags.names {
            let lora = LoRAScale(tag.name, scale: tag.scale ?? 1, textScale: tag.textScale)
            if let index = loras.firstIndex(where: { $0.name == tag.name }) {
                // Other programs list the hash of a file beside its tag.
                loras[index] = lora
            } else {
                loras.append(lora)
            }
        }
        return loras
    }
}
