// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Imaging
import NIOCore
import NIOHTTP1

/// A job of `/api/jobs`.
final class MockJob {
    var previews: [String] = []
    var file: [UInt8]?
    /// Called with each event, including the last.
    var listener: ((String, String) -> Void)?
}

extension MockService {
    /// Reads a request; responds to one that cannot be used, and returns `nil`.
    func fields(_ request: MockRequest, _ response: MockResponse) -> (
        MockFields, MockParameters
    )? {
        let refuse = { (message: String) in
            response.send(
                400, "application/json", Array(#"{"error":{"message":"\#(message)"}}"#.utf8))
        }
        guard let fields = MockFields(request) else {
            refuse("no JSON")
            return nil
        }
        if refuses(request, fields, response) { return nil }
        if let known = settings.dialect?.documentedFields(request.path),
            let unknown = fields.names.subtracting(known).min()
        {
            refuse("unknown field \(unknown)")
            return nil
        }
        return fields.parameters(refuse).map { (fields, $0) }
    }

    /// Applies the faults that concern every request; returns whether there was one.
    private func refuses(
        _ request: MockRequest, _ fields: MockFields, _ response: MockResponse
    ) -> Bool {
        let refuse = { (status: Int, message: String) in
            response.facts.code = "refused"
            response.send(
                status, "application/json", Array(#"{"error":{"message":"\#(message)"}}"#.utf8))
        }
        requests += 1
        if has(.needsKey), !request.head.headers.contains(name: "authorization") {
            refuse(401, "a key is required")
        } else if has(.otherModel), fields.text("model") != "mock" {
            refuse(404, "model not found")
        } else if has(.breaks), requests > 2 {
            refuse(500, "out of memory")
        } else if has(.textOnly) {
            response.send(200, "text/plain", Array("hello".utf8))
        } else {
            return false
        }
        return true
    }

    /// Applies a fault of the whole response; returns whether there was one.
    func fails(_ response: MockResponse) -> Bool {
        switch fault(among: [.internalError, .stall]) {
        case .internalError:
            response.facts.code = "internal"
            response.send(500, "application/json", Array(#"{"error":{"message":"broken"}}"#.utf8))
            return true
        case .stall: return true
        default: return false
        }
    }

    // MARK: OpenAI and Xinference

    func openAI(_ request: MockRequest, _ response: MockResponse) {
        guard let (fields, parameters) = fields(request, response), !fails(response) else { return }
        guard fields.flag("stream"), !has(.noStream) else {
            generate(parameters, response) { [self] file in
                finish(response, Self.openAIResponse(file, response.facts))
            }
            return
        }
        let small =
            (try? MockImage.generate(parameters.key + " preview", width: 16, height: 16))
            .flatMap { try? ImageEncoder.encode($0) } ?? []
        let kind = request.path.hasSuffix("/edits") ? "image_edit" : "image_generation"
        var isOpen = false
        func open() {
            if !isOpen { response.head(200, "text/event-stream; charset=utf-8", length: nil) }
            isOpen = true
        }
        generate(parameters, response, previews: fields.integer("partial_images") ?? 0) { index in
            open()
            response.event(
                "\(kind).partial_image",
                #"{"type":"\#(kind).partial_image","partial_image_index":"# + "\(index),"
                    + #""b64_json":""# + Data(small).base64EncodedString() + #""}"#)
        } done: { [self] file in
            open()
            switch fault(among: [.truncated, .eventError]) {
            case .truncated:
                response.abort()
            case .eventError:
                response.facts.code = "internal"
                response.facts.isDelivered = false
                response.event("error", #"{"type":"error","error":{"message":"it broke"}}"#)
                response.end()
            default:
                response.event(
                    "\(kind).completed",
                    #"{"type":"\#(kind).completed","b64_json":""#
                        + Data(file).base64EncodedString() + #"","timings":"#
                        + response.facts.timings + "}")
                response.end()
            }
        }
    }

    private static func openAIResponse(_ file: [UInt8], _ facts: MockFacts) -> String {
        #"{"created":1,"data":[{"b64_json":""# + Data(file).base64EncodedString()
            + #"","timings":"# + facts.timings + #"}],"timings":{"queued":"#
            + "\(facts.queue)" + #","total":"# + "\(facts.queue + facts.run)}}"
    }

    /// Sends a whole response, unless it is to be truncated.
    func finish(_ response: MockResponse, _ text: String) {
        let body = Array(text.utf8)
        guard fault(among: [.truncated]) != nil else {
            response.send(200, "application/json", body)
            return
        }
        response.head(200, "application/json", length: body.count)
        response.write(Array(body.prefix(body.count / 2)))
        // The client must receive the first half before the end.
        let bound = NIOLoopBound(response, eventLoop: loop)
        loop.scheduleTask(in: .milliseconds(5)) { bound.value.abort() }
    }

    // MARK: A1111

    func a1111(_ request: MockRequest, _ response: MockResponse) {
        guard let (_, parameters) = fields(request, response), !fails(response) else { return }
        generate(parameters, response, previews: 3) { [self] index in
            let image = try? MockImage.generate("\(parameters.key) \(index)", width: 16, height: 16)
            current = image.flatMap { try? ImageEncoder.encode($0) }
        } done: { [self] file in
            current = nil
            finish(
                response,
                #"{"images":[""# + Data(file).base64EncodedString()
                    + #""],"parameters":{},"info":"{\"seed\":"# + "\(parameters.seed)" + #"}"}"#)
        }
    }

    func progress() -> String {
        let image = current.map { "\"" + Data($0).base64EncodedString() + "\"" } ?? "null"
        return #"{"progress":0.5,"eta_relative":0,"current_image":"# + image
            + #","state":{"job_count":1}}"#
    }

    // MARK: Jobs

    func submitJob(_ request: MockRequest, _ response: MockResponse) {
        guard let (_, parameters) = fields(request, response), !fails(response) else { return }
        let id = "job-\(jobs.count)"
        let job = MockJob()
        jobs[id] = job
        // The facts of the job are not those of this response.
        let work = MockResponse(channel: response.channel, request: request, self)
        generate(parameters, work, previews: 3) { index in
            let image = try? MockImage.generate("\(parameters.key) \(index)", width: 16, height: 16)
            let file = image.flatMap { try? ImageEncoder.encode($0) } ?? []
            let data =
                #"{"image":0,"step":"# + "\(index + 1)" + #","url":"data:image/png;base64,"#
                + Data(file).base64EncodedString() + #""}"#
            job.listener?("preview", data)
            job.previews.append(data)
        } done: { [self] file in
            job.file = file
            metrics.countImage(work.facts, self)
            job.listener?("image", Self.image(id, work.facts.run))
            job.listener?("done", "{}")
        }
        // A full queue has been reported already.
        guard work.status == 200 else { return }
        response.send(202, "application/json", Array(#"{"id":"\#(id)","state":"queued"}"#.utf8))
    }

    private static func image(_ id: String, _ seconds: Double) -> String {
        #"{"index":0,"url":"/api/jobs/\#(id)/images/0","seconds":\#(seconds)}"#
    }

    func job(_ path: String, _ response: MockResponse) {
        let parts = path.split(separator: "/").map(String.init)
        guard parts.count > 3, let job = jobs[parts[2]] else {
            response.send(404, "application/json", Array(#"{"error":{"message":"no job"}}"#.utf8))
            return
        }
        guard parts[3] == "events" else {
            response.send(200, "image/png", job.file ?? [])
            return
        }
        response.head(200, "text/event-stream; charset=utf-8", length: nil)
        for preview in job.previews { response.event("preview", preview) }
        guard job.file == nil else {
            response.event("image", Self.image(parts[2], 0))
            response.event("done", "{}")
            response.end()
            return
        }
        job.listener = { [self] name, data in
            if name == "image", fault(among: [.truncated]) != nil {
                job.listener = nil
                response.abort()
                return
            }
            response.event(name, data)
            if name == "done" {
                job.listener = nil
                response.end()
            }
        }
    }
}
