// Part of Inkstone. Licence: see LICENSE.

import Engine
import HTTPTypes
import Logging
import NIOCore
import Synchronization
import Testing

@Suite struct ImagesErrorTests {
    private let path = "/v1/images/generations"

    /// A body, the status it gets, and the code and parameter of the error.
    struct BadBody: Sendable, CustomTestStringConvertible {
        var json: String
        var code: String
        var parameter: String?
        var says: String

        init(_ json: String, _ code: String, _ parameter: String? = nil, _ says: String = "") {
            self.json = json
            self.code = code
            self.parameter = parameter
            self.says = says
        }

        var testDescription: String { json }
    }

    static let badBodies = [
        BadBody("", "invalid_json", nil, "empty"),
        BadBody("{", "invalid_json", nil, "not valid JSON"),
        BadBody("[1]", "invalid_json", nil, "an array of 1"),
        BadBody("\"p\"", "invalid_json", nil, "\"p\""),
        BadBody(#"{"prompt": "\u12"}"#, "invalid_json"),
        BadBody(#"{"prompt": "p", "kwargs": "{"}"#, "invalid_json", nil, "kwargs"),
        BadBody(
            #"{"prompt": "p", "x": "# + String(repeating: "[", count: 10_000), "invalid_json", nil,
            "32 levels"),
        BadBody("{}", "missing_required_parameter", "prompt"),
        BadBody(#"{"prompt": null}"#, "missing_required_parameter", "prompt"),
        BadBody(#"{"prompt": 7}"#, "invalid_type", "prompt", "a string, got 7"),
        BadBody(#"{"prompt": ["a", "b"]}"#, "invalid_type", "prompt"),
        BadBody(#"{"prompt": "p", "negative_prompt": []}"#, "invalid_type", "negative_prompt"),
        BadBody(#"{"prompt": "p", "n": "two"}"#, "invalid_type", "n", #"an integer, got "two""#),
        BadBody(#"{"prompt": "p", "n": 1.5}"#, "invalid_type", "n"),
        BadBody(#"{"prompt": "p", "n": true}"#, "invalid_type", "n"),
        BadBody(#"{"prompt": "p", "n": 0}"#, "invalid_value", "n", "n must be between 1 and 4"),
        BadBody(#"{"prompt": "p", "n": 5}"#, "invalid_value", "n"),
        BadBody(#"{"prompt": "p", "count": 5}"#, "invalid_value", "count"),
        BadBody(#"{"prompt": "p", "size": "big"}"#, "invalid_value", "size", "1024x768"),
        BadBody(#"{"prompt": "p", "size": 64}"#, "invalid_type", "size"),
        BadBody(#"{"prompt": "p", "size": "40x64"}"#, "invalid_value", "size", "multiple of 16"),
        BadBody(#"{"prompt": "p", "size": "64x99999999999999"}"#, "invalid_value", "size"),
        BadBody(#"{"prompt": "p", "size": "-64x64"}"#, "invalid_value", "size"),
        BadBody(#"{"prompt": "p", "height": 128}"#, "invalid_value", "height"),
        BadBody(#"{"prompt": "p", "width": "64"}"#, "invalid_type", "width"),
        BadBody(#"{"prompt": "p", "steps": 0}"#, "invalid_value", "steps"),
        BadBody(#"{"prompt": "p", "steps": 99999999999999999999}"#, "invalid_type", "steps"),
        BadBody(#"{"prompt": "p", "guidance_scale": "x"}"#, "invalid_type", "guidance_scale"),
        BadBody(#"{"prompt": "p", "guidance_scale": -1}"#, "invalid_value", "guidance_scale"),
        BadBody(#"{"prompt": "p", "seed": {}}"#, "invalid_type", "seed", "an object"),
        BadBody(#"{"prompt": "p", "seed": [1, 2]}"#, "invalid_type", "seed"),
        BadBody(#"{"prompt": "p", "model": 5}"#, "invalid_type", "model"),
        BadBody(#"{"prompt": "p", "stream": "yes"}"#, "invalid_type", "stream"),
        BadBody(#"{"prompt": "p", "partial_images": 4}"#, "invalid_value", "partial_images"),
        BadBody(#"{"prompt": "p", "response_format": "file"}"#, "invalid_value", "response_format"),
        BadBody(#"{"prompt": "p", "output_format": "gif"}"#, "invalid_value", "output_format"),
        BadBody(
            #"{"prompt": "p", "output_compression": 101}"#, "invalid_value", "output_compression"),
        BadBody(#"{"prompt": "p", "background": "transparent"}"#, "invalid_value", "background"),
    ]

    @Test("an invalid body is answered with 400 and the invalid field", arguments: badBodies)
    func badBody(body: BadBody) async throws {
        let generator = try FakeGenerator()
        try await withGateway(generator) { client in
            let response = try await client.post(path, body.json)
            #expect(response.status == .badRequest)
            let error = try response.error()
            #expect(error["code"] == body.code)
            #expect(error["param"] == body.parameter)
            #expect(error["type"] == "invalid_request_error")
            #expect(error["message"]?.contains(body.says) != false || body.says.isEmpty)
            #expect(response.headers[try .named("x-request-id")] != nil)
        }
        #expect(generator.requests.isEmpty)
    }

    @Test("a prompt over the model's limit is refused by name")
    func longPrompt() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let long = String(repeating: "x", count: 501)
            let response = try await client.post(path, #"{"prompt": "\#(long)"}"#)
            #expect(response.status == .badRequest)
            #expect(try response.error()["param"] == "prompt")
        }
    }

    @Test("a body over the limit is answered with 413, announced or not")
    func largeBody() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let body = #"{"prompt": "\#(String(repeating: "x", count: 1 << 20))"}"#
            for headers in [[:], [.contentLength: "9999999"]] as [HTTPFields] {
                let response = try await client.post(path, body, headers: headers)
                #expect(response.status == .contentTooLarge)
                #expect(try response.error()["code"] == "request_too_large")
            }
        }
    }

    @Test("an unknown model is answered with 404 and the models that exist")
    func unknownModel() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let response = try await client.post(path, #"{"prompt": "p", "model": "dall-e-9"}"#)
            #expect(response.status == .notFound)
            let error = try response.error()
            #expect(error["code"] == "model_not_found")
            #expect(error["message"]?.contains("tiny, maker/large") == true)
        }
    }

    @Test("without a model the answer is 503 with a time to wait")
    func loading() async throws {
        try await withGateway(try FakeGenerator(isLoaded: false)) { client in
            let response = try await client.post(path, #"{"prompt": "p"}"#)
            #expect(response.status == .serviceUnavailable)
            #expect(try response.error()["code"] == "model_loading")
            #expect(Int(response.headers[.retryAfter] ?? "") ?? 0 >= 1)
        }
    }

    @Test("a full queue is answered with 503 and a time to wait, streamed or not")
    func busy() async throws {
        let generator = try FakeGenerator(.refuse(GenerationError(.busy, "16 requests wait.")))
        try await withGateway(generator) { client in
            for body in [#"{"prompt": "p"}"#, #"{"prompt": "p", "stream": true}"#] {
                let response = try await client.post(path, body)
                #expect(response.status == .serviceUnavailable)
                let error = try response.error()
                #expect(error["code"] == "queue_full" && error["type"] == "rate_limit_error")
                #expect(error["message"] == "16 requests wait.")
                #expect(Int(response.headers[.retryAfter] ?? "") ?? 0 >= 1)
                #expect(response.headers[try .named("x-should-retry")] == nil)
            }
        }
    }

    @Test("a worker that was lost too often is answered with 503, for clients to retry")
    func workerLost() async throws {
        let generator = try FakeGenerator(.fail(GenerationError(.workerLost, "It ended 4 times.")))
        try await withGateway(generator) { client in
            let response = try await client.post(path, #"{"prompt": "p"}"#)
            #expect(response.status == .serviceUnavailable)
            #expect(try response.error()["code"] == "worker_lost")
            #expect(Int(response.headers[.retryAfter] ?? "") ?? 0 >= 1)
        }
    }

    @Test(
        "a failure of the engine is answered with 500 and not retried by clients",
        arguments: [GenerationError.Code.numeric, .internalFailure])
    func failure(code: GenerationError.Code) async throws {
        let logs = LogRecorder()
        let generator = try FakeGenerator(.fail(GenerationError(code, "Step 1 went wrong.")))
        try await withGateway(generator, logs: logs) { client in
            let response = try await client.post(path, #"{"prompt": "p"}"#)
            #expect(response.status == .internalServerError)
            #expect(try response.error()["message"] == "Step 1 went wrong.")
            #expect(response.headers[try .named("x-should-retry")] == "false")
        }
        #expect(logs.lines.all.withLock { $0.contains { $0.message == "request failed" } })
    }

    @Test(
        "clients get a time to wait exactly where a new attempt makes sense",
        arguments: GenerationError.Code.allCases)
    func advice(code: GenerationError.Code) async throws {
        let generator = try FakeGenerator(.fail(GenerationError(code, "It went wrong.")))
        try await withGateway(generator) { client in
            let headers: HTTPFields = [try .named("idempotency-key"): "k"]
            let first = try await client.post(path, #"{"prompt": "p"}"#, headers: headers)
            #expect((first.headers[.retryAfter] != nil) == code.isTransient)
            let again = try await client.post(path, #"{"prompt": "p"}"#, headers: headers)
            #expect(again.status == first.status)
            #expect(try again.error() == (try first.error()))
            #expect(generator.requests.count == (code.isTransient ? 2 : 1))
        }
    }

    @Test("wrong methods and unknown paths get the same error body")
    func wrongMethod() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let wrong = try await client.get(path)
            #expect(wrong.status == .methodNotAllowed)
            #expect(wrong.headers[.allow] == "OPTIONS, POST")
            #expect(try wrong.error()["code"] == "method_not_allowed")
            let unknown = try await client.post("/v1/nothing", "{}")
            #expect(unknown.status == .notFound)
            #expect(try unknown.error()["code"] == "not_found")
            let file = try await client.get("/v1/images/files/none.png")
            #expect(file.status == .notFound)
            #expect(try file.error()["code"] == "file_not_found")
        }
    }
}
