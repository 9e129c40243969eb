// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Gateway
import HTTPTypes
import Imaging
import Parameters
import Testing

/// OpenAI's newer form of an edit, JSON with data URLs, and the fields that it documents.
@Suite("Edits in JSON", .timeLimit(.minutes(5)))
struct EditDocumentTests {
    private let path = "/v1/images/edits"

    private func file() throws -> (image: RGBImage, url: String) {
        let image = try RGBImage(width: 32, height: 16, filledWith: (9, 80, 200))
        let bytes = Data(try ImageEncoder.encode(image))
        return (image, "data:image/png;base64," + bytes.base64EncodedString())
    }

    private func post(_ client: TestClient, _ path: String, _ json: String) async throws
        -> TestResponse
    {
        try await client.post(
            path, json, headers: [.contentType: "application/json; charset=utf-8"])
    }

    @Test("an image in any of its shapes reaches the engine")
    func shapes() async throws {
        let generator = try FakeGenerator()
        let (image, url) = try file()
        let shapes = [
            "\"images\": [{\"image_url\": \"\(url)\"}]", "\"image\": {\"image_url\": \"\(url)\"}",
            "\"images\": [\"\(url)\"]", "\"image\": \"\(url)\"",
            "\"images\": [{\"type\": \"input_image\", \"image_url\": {\"url\": \"\(url)\"}}]",
            "\"images\": [{\"image_url\": \"\(url)\"}], \"image\": null, \"mask\": null",
        ]
        try await withGateway(generator) { client in
            for shape in shapes {
                let answer = try await post(
                    client, path,
                    "{\"prompt\": \"p\", \"strength\": 0.5, \"response_format\": \"\", \(shape)}")
                #expect(answer.status == .ok, "\(answer.text)")
                #expect(answer.text.contains("\"url\":\"http://"))
            }
            let masked = try await post(
                client, path,
                "{\"prompt\": \"p\", \(shapes[0]), \"mask\": {\"image_url\": \"\(url)\"}}")
            #expect(masked.status == .ok)
            let variation = try await post(client, "/v1/images/variations", "{\(shapes[0])}")
            #expect(variation.status == .ok)
        }
        #expect(
            generator.requests.prefix(shapes.count).allSatisfy {
                $0.source?.image == image && $0.strength == 0.5
            })
        #expect(generator.requests[shapes.count].source?.mask == image)
    }

    @Test("what cannot be done is refused in words, by the name of the field")
    func refusals() async throws {
        let (_, url) = try file()
        try await withGateway(try FakeGenerator()) { client in
            for (fields, name, word) in [
                ("\"images\": []", "image", "required"),
                (
                    "\"images\": [{\"image_url\": \"\(url)\"}, {\"image_url\": \"\(url)\"}]",
                    "images", "got 2"
                ),
                ("\"images\": [{\"file_id\": \"file-1\"}]", "images[0].file_id", "keeps no files"),
                (
                    "\"images\": [{\"image_url\": \"https://a.example/b.png\"}]",
                    "images[0].image_url", "fetches nothing"
                ),
                ("\"image\": \"file:///etc/passwd\"", "image", "fetches nothing"),
                ("\"images\": [7]", "images[0]", "data:image/png"),
                ("\"images\": {\"x\": 1}", "images", "data:image/png"),
                (
                    "\"image\": \"\(url)\", \"mask\": {\"file_id\": \"file-2\"}", "mask.file_id",
                    "keeps no files"
                ),
                ("\"image\": \"data:image/png;base64,AAAA\"", "image", ""),
            ] {
                let answer = try await post(client, path, "{\"prompt\": \"p\", \(fields)}")
                #expect(answer.status == .badRequest, "\(fields.prefix(60))")
                let error = try answer.error()
                #expect(error["param"] == name, "\(error)")
                #expect(word.isEmpty || error["message"]?.contains(word) == true, "\(error)")
            }
        }
    }

    @Test(
        "documented fields are obeyed, or answered as not done",
        arguments: [
            (#""moderation": "low""#, "moderation"), (#""moderation": "auto""#, "moderation"),
            (#""quality": "high""#, "quality"), (#""style": "vivid""#, "style"),
            (#""quality": "auto", "background": "opaque""#, nil), (#""moderation": null"#, nil),
            (#""background": "", "response_format": "", "output_format": "", "style": """#, nil),
            (#""input_fidelity": "low", "quality": """#, nil),
        ] as [(String, String?)])
    func documented(fields: String, warning: String?) async throws {
        try await withGateway(try FakeGenerator()) { client in
            for body in [
                "{\"prompt\": \"p\", \(fields)}",
                "{\"prompt\": \"p\", \"stream\": true, \(fields)}",
            ] {
                let answer = try await client.post("/v1/images/generations", body)
                #expect(answer.status == .ok, "\(answer.text)")
                #expect(
                    answer.text.contains("\"warnings\":[\"\(warning ?? "")") == (warning != nil))
            }
        }
    }

    @Test(
        "values that OpenAI does not document are refused",
        arguments: [
            (#""moderation": "none""#, "moderation"), (#""background": "blue""#, "background"),
            (#""background": "transparent""#, "background"),
            (#""response_format": "png""#, "response_format"),
            (#""input_fidelity": "high""#, "input_fidelity"), (#""style": "dark""#, "style"),
        ])
    func undocumented(field: String, name: String) async throws {
        try await withGateway(try FakeGenerator()) { client in
            let answer = try await client.post(
                "/v1/images/generations", "{\"prompt\": \"p\", \(field)}")
            #expect(answer.status == .badRequest)
            #expect(try answer.error()["param"] == name)
        }
    }
}
