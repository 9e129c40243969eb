// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Imaging
import NIOCore
import NIOHTTP1

/// A job of `/api/jobs`.
final class MockJob {
    var previews: [String] = []
    var file: [UInt8]?
    /// Told of each event, the end among them.
    var listener: ((String, String) -> Void)?
}

extension MockService {
    /// The fields of a request, of any dialect.
    private struct Fields: Decodable {
        var prompt: String?
        var size: String?
        var width: Int?
        var height: Int?
        var seed: Int?
        var num_inference_steps: Int?
        var steps: Int?
        var guidance_scale: Double?
        var cfg_scale: Double?
        var kwargs: String?
        var output_format: String?
        var stream: Bool?
        var partial_images: Int?
    }

    private func fields(_ request: MockRequest, _ answer: MockAnswer) -> (Fields, MockWanted)? {
        guard var fields = try? JSONDecoder().decode(Fields.self, from: Data(request.body)) else {
            answer.send(400, "application/json", Array(#"{"error":{"message":"no JSON"}}"#.utf8))
            return nil
        }
        if let text = fields.kwargs,
            let more = try? JSONDecoder().decode(Fields.self, from: Data(text.utf8))
        {
            fields.seed = fields.seed ?? more.seed
            fields.num_inference_steps = fields.num_inference_steps ?? more.num_inference_steps
            fields.guidance_scale = fields.guidance_scale ?? more.guidance_scale
        }
        let sides = (fields.size ?? "").split { !$0.isNumber }.compactMap { Int($0) }
        let wanted = MockWanted(
            prompt: fields.prompt ?? "", width: fields.width ?? sides.first ?? 64,
            height: fields.height ?? sides.last ?? 64,
            steps: fields.num_inference_steps ?? fields.steps ?? 8, seed: fields.seed ?? 0,
            guidance: fields.guidance_scale ?? (fields.cfg_scale ?? 1) - 1,
            format: fields.output_format.flatMap { ImageFormat(rawValue: $0) } ?? .png)
        guard (16...4096).contains(wanted.width), (16...4096).contains(wanted.height) else {
            answer.send(400, "application/json", Array(#"{"error":{"message":"size"}}"#.utf8))
            return nil
        }
        return (fields, wanted)
    }

    /// Faults of the answer as a whole; whether there was one.
    private func breaks(_ answer: MockAnswer) -> Bool {
        switch fault(among: [.internalError, .stall]) {
        case .internalError:
            answer.facts.code = "internal"
            answer.send(500, "application/json", Array(#"{"error":{"message":"broken"}}"#.utf8))
            return true
        case .stall: return true
        default: return false
        }
    }

    // MARK: OpenAI and Xinference

    func openAI(_ request: MockRequest, _ answer: MockAnswer) {
        guard let (fields, wanted) = fields(request, answer), !breaks(answer) else { return }
        guard fields.stream == true else {
            draw(wanted, answer) { [self] file in
                finish(answer, Self.openAIAnswer(file, answer.facts))
            }
            return
        }
        let small =
            (try? MockImage.draw(wanted.key + " preview", width: 16, height: 16))
            .flatMap { try? ImageEncoder.encode($0) } ?? []
        var isOpen = false
        func open() {
            if !isOpen { answer.head(200, "text/event-stream; charset=utf-8", length: nil) }
            isOpen = true
        }
        draw(wanted, answer, previews: fields.partial_images ?? 0) { index in
            open()
            answer.event(
                "image_generation.partial_image",
                #"{"type":"image_generation.partial_image","partial_image_index":"# + "\(index),"
                    + #""b64_json":""# + Data(small).base64EncodedString() + #""}"#)
        } done: { [self] file in
            open()
            switch fault(among: [.truncated, .eventError]) {
            case .truncated:
                answer.breakOff()
            case .eventError:
                answer.facts.code = "internal"
                answer.facts.isDelivered = false
                answer.event("error", #"{"type":"error","error":{"message":"it broke"}}"#)
                answer.end()
            default:
                answer.event(
                    "image_generation.completed",
                    #"{"type":"image_generation.completed","b64_json":""#
                        + Data(file).base64EncodedString() + #"","timings":"#
                        + answer.facts.timings + "}")
                answer.end()
            }
        }
    }

    private static func openAIAnswer(_ file: [UInt8], _ facts: MockFacts) -> String {
        #"{"created":1,"data":[{"b64_json":""# + Data(file).base64EncodedString()
            + #"","timings":"# + facts.timings + #"}],"timings":{"queued":"#
            + "\(facts.queue)" + #","total":"# + "\(facts.queue + facts.run)}}"
    }

    /// A whole answer, unless it is to break off.
    private func finish(_ answer: MockAnswer, _ text: String) {
        let body = Array(text.utf8)
        guard fault(among: [.truncated]) != nil else {
            answer.send(200, "application/json", body)
            return
        }
        answer.head(200, "application/json", length: body.count)
        answer.write(Array(body.prefix(body.count / 2)))
        // The client is to see the half before the end.
        let bound = NIOLoopBound(answer, eventLoop: loop)
        loop.scheduleTask(in: .milliseconds(5)) { bound.value.breakOff() }
    }

    // MARK: A1111

    func a1111(_ request: MockRequest, _ answer: MockAnswer) {
        guard let (_, wanted) = fields(request, answer), !breaks(answer) else { return }
        draw(wanted, answer, previews: 3) { [self] index in
            let image = try? MockImage.draw("\(wanted.key) \(index)", width: 16, height: 16)
            current = image.flatMap { try? ImageEncoder.encode($0) }
        } done: { [self] file in
            current = nil
            finish(
                answer,
                #"{"images":[""# + Data(file).base64EncodedString()
                    + #""],"parameters":{},"info":"{\"seed\":"# + "\(wanted.seed)" + #"}"}"#)
        }
    }

    func progress() -> String {
        let image = current.map { "\"" + Data($0).base64EncodedString() + "\"" } ?? "null"
        return #"{"progress":0.5,"eta_relative":0,"current_image":"# + image
            + #","state":{"job_count":1}}"#
    }

    // MARK: Jobs

    func submitJob(_ request: MockRequest, _ answer: MockAnswer) {
        guard let (_, wanted) = fields(request, answer), !breaks(answer) else { return }
        let id = "job-\(jobs.count)"
        let job = MockJob()
        jobs[id] = job
        // The job's facts belong to its own story, not to this answer's.
        let story = MockAnswer(channel: answer.channel, request: request, self)
        draw(wanted, story, previews: 3) { index in
            let image = try? MockImage.draw("\(wanted.key) \(index)", width: 16, height: 16)
            let file = image.flatMap { try? ImageEncoder.encode($0) } ?? []
            let data =
                #"{"image":0,"step":"# + "\(index + 1)" + #","url":"data:image/png;base64,"#
                + Data(file).base64EncodedString() + #""}"#
            job.listener?("preview", data)
            job.previews.append(data)
        } done: { [self] file in
            job.file = file
            metrics.countImage(story.facts, self)
            job.listener?("image", Self.image(id, story.facts.run))
            job.listener?("done", "{}")
        }
        // A full queue has been answered.
        guard story.status == 200 else { return }
        answer.send(202, "application/json", Array(#"{"id":"\#(id)","state":"queued"}"#.utf8))
    }

    private static func image(_ id: String, _ seconds: Double) -> String {
        #"{"index":0,"url":"/api/jobs/\#(id)/images/0","seconds":\#(seconds)}"#
    }

    func job(_ path: String, _ answer: MockAnswer) {
        let parts = path.split(separator: "/").map(String.init)
        guard parts.count > 3, let job = jobs[parts[2]] else {
            answer.send(404, "application/json", Array(#"{"error":{"message":"no job"}}"#.utf8))
            return
        }
        guard parts[3] == "events" else {
            answer.send(200, "image/png", job.file ?? [])
            return
        }
        answer.head(200, "text/event-stream; charset=utf-8", length: nil)
        for preview in job.previews { answer.event("preview", preview) }
        guard job.file == nil else {
            answer.event("image", Self.image(parts[2], 0))
            answer.event("done", "{}")
            answer.end()
            return
        }
        job.listener = { [self] name, data in
            if name == "image", fault(among: [.truncated]) != nil {
                job.listener = nil
                answer.breakOff()
                return
            }
            answer.event(name, data)
            if name == "done" {
                job.listener = nil
                answer.end()
            }
        }
    }
}
