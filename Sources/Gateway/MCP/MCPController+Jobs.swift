// Part of Inkstone. Licence: see LICENSE.

import Engine
import HTTPTypes
import Imaging
import ModelFiles
import Parameters
import Service

/// A job that a call has submitted.
struct MCPJob {
    let job: Job
    /// Format of the images in the answer.
    let format: ImageFormat
}

extension MCPController {
    /// Accepts the request of `generate_image` or `edit_image` as a job, which goes on if the connection is lost.
    ///
    /// - Throws: `APIError`, `GenerationError` or `JobStoreError`.
    func submit(
        _ tool: MCPTool, _ arguments: [String: JSONValue], _ context: GatewayContext
    ) async throws -> MCPJob {
        let fields = RequestFields(arguments)
        let format = try Self.format(fields)
        var (source, mask): (RGBImage?, RGBImage?)
        if tool == .editImage {
            guard let text = try fields.text("image") else {
                throw APIError(
                    .badRequest, code: "missing_required_parameter", parameter: "image",
                    "image is required: the name of an earlier image, such as JOB/0, or a file in base64."
                )
            }
            let image = try await image(text, "image", context).flattened()
            source = image
            if let text = try fields.text("mask") {
                let decoded = try await self.image(text, "mask", context).image
                guard decoded.width == image.width, decoded.height == image.height else {
                    throw APIError.maskSize("mask", image, decoded)
                }
                mask = decoded
            }
        }
        let call = try await requests.imageCall(fields, source: source, mask: mask)
        let submission = Submission(requestID: context.requestID, owner: context.owner)
        return MCPJob(job: try await requests.submit(call, submission, context), format: format)
    }

    private func image(
        _ text: String, _ argument: String, _ context: GatewayContext
    ) async throws -> DecodedImage {
        try await reader.image(text, argument: argument, of: requests.jobs, for: context.access)
    }

    /// The format that a call asks for.
    static func format(_ fields: RequestFields) throws(APIError) -> ImageFormat {
        let name = try fields.choice("format", of: ["jpeg", "png", "webp"]) ?? "jpeg"
        return ImageFormat(fileExtension: name) ?? .jpeg
    }

    /// The state of a job in words, its finished images, and both for programs.
    ///
    /// - Throws: `APIError` 404 for a job that does not exist for the client, an error of the job store or of the
    ///   encoder.
    func result(of id: String, as format: ImageFormat, _ context: GatewayContext) async throws
        -> MCPResult
    {
        guard let (job, progress) = try await requests.jobs.job(id, for: context.access) else {
            throw JobController.noSuchJob(id)
        }
        let names = job.images.map { MCPImageReference(job: job.id, index: $0.index).text }
        var fields: [String: JSONValue] = [
            "job": .string(job.id), "state": .string(job.state.rawValue),
            "model": .string(job.model),
            "size": .string(job.request.parameters.outputSize.description),
            "images": .array(
                zip(names, job.images).map { name, image in
                    ["name": .string(name), "seed": .string(String(image.seed))]
                }),
        ]
        var result = MCPResult("")
        switch job.state {
        case .succeeded:
            let seeds = zip(names, job.images).map { "\($0) (seed \($1.seed))" }.joined(
                separator: ", ")
            result.text =
                "\(names.count == 1 ? "An image" : "\(names.count) images") of"
                + " \(job.request.parameters.outputSize) by \(job.model): \(seeds)."
        case .failed, .cancelled:
            let reason = job.failure.map { ": \($0)" } ?? "."
            result.text =
                "The job \(job.id) \(job.state == .failed ? "has failed" : "was cancelled")\(reason)"
            result.isError = job.state == .failed
        case .queued, .running:
            result.text = Self.words(job, progress)
            if let progress {
                fields["steps_done"] = .integer(Int64(progress.stepsDone))
                fields["steps"] = .integer(Int64(progress.steps))
            }
        }
        result.structure = .object(fields)
        for image in job.images {
            let file = try await requests.imageFile(
                image.index, of: job.id, as: format, quality: OutputOptions.defaultQuality,
                for: context.access)
            if let file { result.files.append(.init(bytes: file, type: format.mimeType)) }
        }
        return result
    }

    /// The progress of a job that is not final, in words.
    private static func words(_ job: Job, _ progress: JobProgress?) -> String {
        var text = "The job \(job.id) is \(job.state.rawValue)"
        if let place = progress?.place, place > 0 { text += ", \(place) before it" }
        if let progress, progress.stepsDone > 0 {
            text += ", \(progress.stepsDone) of \(progress.steps) steps done"
        }
        if let left = progress?.secondsLeft { text += ", about \(Int(left.rounded(.up))) s left" }
        return text + "; ask again with get_job."
    }
}
