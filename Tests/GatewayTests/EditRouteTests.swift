// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Gateway
import HTTPTypes
import Imaging
import NIOCore
import Parameters
import Testing

/// Forms with images, as the clients of both dialects send them.
@Suite("Edits and variations", .timeLimit(.minutes(5)))
struct EditRouteTests {
    /// A form in the order of its parts; a value is text or a file.
    static func form(_ parts: [(name: String, file: String?, bytes: [UInt8])]) -> [UInt8] {
        var body: [UInt8] = []
        for part in parts {
            let file = part.file.map { "; filename=\"\($0)\"\r\nContent-Type: image/png" } ?? ""
            body += Array(
                "--B\r\nContent-Disposition: form-data; name=\"\(part.name)\"\(file)\r\n\r\n".utf8)
            body += part.bytes + Array("\r\n".utf8)
        }
        return body + Array("--B--\r\n".utf8)
    }

    static func text(_ name: String, _ value: String) -> (String, String?, [UInt8]) {
        (name, nil, Array(value.utf8))
    }

    private func picture(_ width: Int, _ height: Int) throws -> RGBImage {
        try RGBImage(width: width, height: height, filledWith: (9, 80, 200))
    }

    private func post(
        _ client: TestClient, _ path: String,
        _ parts: [(name: String, file: String?, bytes: [UInt8])]
    ) async throws -> TestResponse {
        try await client.execute(
            uri: path, method: .post, headers: [.contentType: "multipart/form-data; boundary=B"],
            body: ByteBuffer(bytes: Self.form(parts)))
    }

    @Test(
        "an image under any of its names reaches the engine",
        arguments: ["image", "image[]", "images"])
    func edit(name: String) async throws {
        let generator = try FakeGenerator()
        let source = try picture(40, 23)
        try await withGateway(generator) { client in
            let answer = try await post(
                client, "/v1/images/edits",
                [
                    Self.text("prompt", "a \"cat\""), Self.text("n", "2"), Self.text("seed", "4"),
                    Self.text("strength", "0.5"), Self.text("response_format", "b64_json"),
                    (name, "a.png", try ImageEncoder.encode(source)),
                ])
            #expect(answer.status == .ok)
            let data = try #require(try answer.object()["data"] as? [[String: Any]])
            #expect(data.count == 2)
        }
        let request = try #require(generator.requests.first)
        #expect(request.prompt == "a \"cat\"" && request.count == 2 && request.seed == 4)
        // The nearest size that the model draws, and the source in that size.
        #expect(request.size == PixelSize(width: 48, height: 16) && request.strength == 0.5)
        #expect(request.source == .init(image: try source.resized(width: 48, height: 16)))
    }

    @Test("a variation needs no prompt, and streams as an edit")
    func variation() async throws {
        let generator = try FakeGenerator()
        let file = try ImageEncoder.encode(try picture(200, 100))
        try await withGateway(generator) { client in
            let answer = try await post(
                client, "/v1/images/variations",
                [
                    ("image", "x", file), Self.text("stream", "true"),
                    Self.text("partial_images", "1"),
                ])
            let names = try answer.events().map(\.name)
            #expect(names == ["image_edit.partial_image", "image_edit.completed"])
        }
        #expect(generator.requests.first?.size == PixelSize(width: 64, height: 32))
    }

    @Test("masks: transparent in one dialect, white in the other")
    func masks() async throws {
        let generator = try FakeGenerator()
        let fixture = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Fixtures/imaging/rgba8.png")
        let file = [UInt8](try Data(contentsOf: fixture))
        let decoded = try ImageDecoder.decode(file)
        let alpha = try #require(decoded.alpha)
        let source = try ImageEncoder.encode(
            try picture(decoded.image.width, decoded.image.height))
        try await withGateway(generator) { client in
            for (path, name) in [
                ("edits", "mask"), ("inpainting", "mask_image"), ("edits", "mask_image"),
            ] {
                let answer = try await post(
                    client, "/v1/images/\(path)",
                    [Self.text("prompt", "x"), ("image", "x", source), (name, "m", file)])
                #expect(answer.status == .ok)
            }
            let none = try await post(
                client, "/v1/images/inpainting",
                [Self.text("prompt", "x"), ("image", "x", source)])
            #expect(none.status == .badRequest)
            #expect(try none.error()["param"] == "mask_image")
        }
        let sources = generator.requests.compactMap(\.source)
        #expect(generator.requests.map(\.strength) == [1, 1, 1])
        #expect(sources.count == 3)
        let size = try #require(generator.requests.first?.size)
        let transparent = try RGBImage(
            width: decoded.image.width, height: decoded.image.height,
            pixels: alpha.flatMap { [255 - $0, 255 - $0, 255 - $0] })
        let masks = try [transparent, decoded.image, decoded.image].map {
            try $0.resized(width: size.width, height: size.height)
        }
        #expect(sources.map(\.mask) == masks)
    }

    /// Ways in which clients send an image beside a file: base64, a data URL, names in brackets.
    private static func ways(_ name: String, _ file: [UInt8]) -> [(
        name: String, file: String?, bytes: [UInt8]
    )] {
        let base64 = Data(file).base64EncodedString()
        return [
            ("\(name)[]", "m.png", file), ("\(name)[0]", "m.png", file), Self.text(name, base64),
            Self.text(name, "data:image/png;base64,\(base64)"),
            Self.text("\(name)[]", " \(base64)\r\n"),
        ]
    }

    @Test("images and masks as text and under names with brackets count as files do")
    func waysOfSending() async throws {
        let generator = try FakeGenerator()
        let source = try picture(64, 32)
        let file = try ImageEncoder.encode(source)
        var black = [UInt8](repeating: 0, count: 64 * 32 * 3)
        black.replaceSubrange(0..<(64 * 16 * 3), with: repeatElement(255, count: 64 * 16 * 3))
        let mask = try RGBImage(width: 64, height: 32, pixels: black)
        let maskFile = try ImageEncoder.encode(mask)
        try await withGateway(generator) { client in
            for part in Self.ways("mask", maskFile) + Self.ways("mask_image", maskFile) {
                let answer = try await post(
                    client, "/v1/images/edits",
                    [Self.text("prompt", "x"), ("image", "x", file), part])
                #expect(answer.status == .ok, "\(part.name) \(part.file ?? "as text")")
            }
            for part in Self.ways("image", file) {
                let answer = try await post(
                    client, "/v1/images/edits",
                    [Self.text("prompt", "x"), part, ("mask", "m", maskFile)])
                #expect(answer.status == .ok, "\(part.name) \(part.file ?? "as text")")
            }
        }
        #expect(generator.requests.count == 15)
        #expect(generator.requests.allSatisfy { $0.source == .init(image: source, mask: mask) })
    }

    @Test("inputs without a file count as no mask")
    func untouchedInputs() async throws {
        let generator = try FakeGenerator()
        let file = try ImageEncoder.encode(try picture(64, 32))
        try await withGateway(generator) { client in
            for part: (String, String?, [UInt8]) in [
                ("mask", "", []), ("mask_image", "", []), Self.text("mask", ""), ("other", "", []),
            ] {
                let answer = try await post(
                    client, "/v1/images/edits",
                    [Self.text("prompt", "x"), ("image", "x", file), part])
                #expect(answer.status == .ok)
            }
        }
        #expect(generator.requests.allSatisfy { $0.source?.mask == nil })
        #expect(generator.requests.count == 4)
    }

    @Test("a file that is not understood is an error that names its field")
    func filesOfOtherNames() async throws {
        let file = try ImageEncoder.encode(try picture(64, 32))
        try await withGateway(try FakeGenerator()) { client in
            for (part, field) in [
                (("msk", "m.png", file), "msk"), (("mask", "m.png", []), "mask"),
                (Self.text("mask", "not base64!"), "mask"), (("prompt", "p.txt", [97]), "prompt"),
                (Self.text("mask_image[]", "data:image/png;base64,AAAA"), "mask_image[]"),
            ] as [((String, String?, [UInt8]), String)] {
                let answer = try await post(
                    client, "/v1/images/edits",
                    [Self.text("prompt", "x"), ("image", "x", file), part])
                #expect(answer.status == .badRequest)
                #expect(try answer.error()["param"] == field)
            }
            let two = try await post(
                client, "/v1/images/edits",
                [
                    Self.text("prompt", "x"), ("image", "x", file), ("mask", "m", file),
                    ("mask_image", "m", file),
                ])
            #expect(try two.error()["param"] == "mask_image")
        }
    }

    @Test("errors of a form name their field")
    func errors() async throws {
        let file = try ImageEncoder.encode(try picture(32, 16))
        try await withGateway(try FakeGenerator()) { client in
            for (parts, code) in [
                ([Self.text("prompt", "x")], "missing_required_parameter"),
                ([Self.text("prompt", "x"), ("image", "x", [1, 2, 3])], "invalid_image"),
                (
                    [
                        Self.text("prompt", "x"), ("image", "x", file),
                        ("mask", "m", try ImageEncoder.encode(try picture(16, 16))),
                    ], "invalid_value"
                ),
                (
                    [Self.text("prompt", "x"), ("image", "x", file), Self.text("n", "two")],
                    "invalid_type"
                ),
                ([("image", "x", file)], "missing_required_parameter"),
            ] as [([(name: String, file: String?, bytes: [UInt8])], String)] {
                let answer = try await post(client, "/v1/images/edits", parts)
                #expect(answer.status == .badRequest)
                #expect(try answer.error()["code"] == code)
            }
            let json = try await client.post("/v1/images/edits", "{}")
            #expect(json.status == .unsupportedMediaType)
        }
    }

    @Test("a form that is cut off anywhere is refused, never misread")
    func truncation() throws {
        let body = Self.form([Self.text("a", "1"), ("f", "n", [0, 13, 10, 45, 45, 7])])
        let whole = try MultipartForm(body, boundary: "B")
        #expect(try whole.fields == ["a": "1"])
        #expect(whole.files("g", "f").map(Array.init) == [[0, 13, 10, 45, 45, 7]])
        for length in 0..<(body.count - 4) {
            #expect(throws: (any Error).self) {
                _ = try MultipartForm(Array(body[..<length]), boundary: "B")
            }
        }
    }

    @Test(
        "boundaries",
        arguments: [
            ("multipart/form-data; boundary=abc", "abc"),
            ("Multipart/Form-Data; charset=utf-8; boundary=\"a b\"", "a b"),
            ("multipart/form-data", nil), ("application/json; boundary=abc", nil),
            ("multipart/form-data; boundary=", nil),
        ])
    func boundary(type: String, expected: String?) {
        #expect(MultipartForm.boundary(of: type) == expected)
    }
}
