// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Gateway
import HTTPTypes
import NIOCore
import Testing

/// Bodies that cannot be read, and what their errors say.
@Suite("Errors in bodies", .timeLimit(.minutes(5)))
struct RequestErrorTests {
    @Test(
        "errors in JSON have a line, a column and a reason",
        arguments: [
            ("{\"prompt\": \"a\",\n \"steps\": 08}", "line 2, column 12", "leading zero"),
            ("{\"prompt\" \"a\"}", "line 1, column 11", "expected ':'"),
            // Columns are characters: two of them have three bytes each.
            ("{\"prompt\": \"墨石\" \"x\"}", "line 1, column 17", "expected ',' or '}'"),
            ("\u{FEFF}{\n\n\t\"n\": tru}", "line 3, column 7", "expected a value"),
            ("{\"prompt\": \"a\"}}", "line 1, column 16", "expected the end"),
            ("{'prompt': 'a'}", "line 1, column 2", "double quotes"),
            ("{\"prompt\": \"a\nb\"}", "line 1, column 14", "control character"),
            ("{\"n\": NaN}", "line 1, column 7", "found 'N'"),
            ("{\"prompt\": \"a", "line 1, column 14", "no end"),
        ])
    func positions(body: String, place: String, reason: String) async throws {
        try await withGateway(try FakeGenerator()) { client in
            let answer = try await client.post("/v1/images/generations", body)
            #expect(answer.status == .badRequest)
            let error = try answer.error()
            #expect(error["code"] == "invalid_json")
            #expect(error["message"]?.contains("at \(place).") == true, "\(error)")
            #expect(error["message"]?.contains(reason) == true, "\(error)")
        }
    }

    @Test("text that is not UTF-8 is named with its place")
    func notUTF8() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let body = Array("{\"prompt\": \"caf".utf8) + [0xE9] + Array("\"}".utf8)
            let answer = try await client.execute(
                uri: "/v1/images/generations", method: .post, body: ByteBuffer(bytes: body))
            let message = try answer.error()["message"] ?? ""
            #expect(message.contains("not UTF-8") && message.contains("line 1, column"))
        }
    }

    private static let document = Array(#"{"prompt": "p"}"#.utf8)

    private static var otherFormats: [(body: [UInt8], word: String)] {
        let form = "--X\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--X--"
        let little: [UInt8] = [0xFF, 0xFE] + document.flatMap { [$0, UInt8(0)] }
        let big: [UInt8] = document.flatMap { [UInt8(0), $0] }
        return [
            (Array("prompt=a+cat&steps=8".utf8), "form-encoded"),
            (Array("data%5Bprompt%5D=x".utf8), "form-encoded"),
            (Array(form.utf8), "form with parts"),
            ([0x1F, 0x8B, 8, 0] + document, "gzip"), ([0x28, 0xB5, 0x2F, 0xFD] + document, "zstd"),
            ([0x78, 0x9C] + document, "deflate"), (little, "UTF-16"), (big, "UTF-16"),
            (Array("<html></html>".utf8), "XML or HTML"),
        ]
    }

    @Test("other formats are recognised", arguments: otherFormats)
    func formats(body: [UInt8], word: String) async throws {
        try await withGateway(try FakeGenerator()) { client in
            for path in ["/v1/images/generations", "/api/jobs", "/sdapi/v1/txt2img"] {
                let answer = try await client.execute(
                    uri: path, method: .post, body: ByteBuffer(bytes: body))
                let error = try answer.error()
                #expect(error["code"] == "invalid_json")
                #expect(error["message"]?.contains(word) == true, "\(error)")
            }
        }
    }

    @Test(
        "compressed bodies are refused by their header",
        arguments: ["gzip", "br", "identity, zstd"])
    func compressed(coding: String) async throws {
        try await withGateway(try FakeGenerator()) { client in
            for path in ["/v1/images/generations", "/v1/images/edits", "/api/jobs"] {
                let answer = try await client.execute(
                    uri: path, method: .post,
                    headers: [
                        .contentEncoding: coding, .contentType: "multipart/form-data; boundary=B",
                    ], body: ByteBuffer(bytes: Self.document))
                #expect(answer.status == .unsupportedMediaType)
                #expect(try answer.error()["code"] == "unsupported_encoding")
            }
            let plain = try await client.post(
                "/v1/images/generations", #"{"prompt": "p"}"#,
                headers: [.contentEncoding: "identity"])
            #expect(plain.status == .ok)
        }
    }
}
