// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Gateway
import Imaging
import NIOCore
import Testing

/// The grammar of RFC 2046 and RFC 7578, and the deviations of clients.
@Suite("Forms", .timeLimit(.minutes(5)))
struct MultipartFormTests {
    private func parse(_ body: String, _ boundary: String = "B") throws -> MultipartForm {
        try MultipartForm(Array(body.utf8), boundary: boundary)
    }

    /// A form of one part with the given header lines.
    private func part(_ header: String, _ content: String = "x") throws -> MultipartForm.Part? {
        try parse("--B\r\n\(header)\r\n\r\n\(content)\r\n--B--").parts.first
    }

    // MARK: - Delimiters

    @Test(
        "complete forms",
        arguments: [
            "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--B--\r\n",
            // No line break at the end.
            "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--B--",
            // Preamble and epilogue.
            "Hello\r\n--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--B--\r\nBye\r\n--B",
            "\r\n--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--B--",
            // The mark in the middle of a line of the preamble is text.
            "see --B below\r\n--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--B--",
            // Padding of the transport.
            "--B \t \r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--B--",
            // Other fields, any case, no blank.
            "--B\r\nContent-Type: text/plain\r\ncontent-disposition:form-data;NAME=a\r\n\r\n1\r\n--B--",
            // A part without a name is skipped.
            "--B\r\n\r\nnothing\r\n--B\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--B--",
        ])
    func complete(body: String) throws {
        #expect(try parse(body).fields == ["a": "1"])
    }

    @Test(
        "incomplete forms are refused",
        arguments: [
            "", "-", "--", "--B", "--B-", "--B\r", "--B\r\n", "--BX\r\n", "no form",
            "--C\r\n\r\n1\r\n--C--",
            // No final delimiter.
            "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1",
            "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n",
            "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--B",
            "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--B\r\n",
            // A final delimiter in the middle of a line is content.
            "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1--B--",
            // A part without the empty line behind its header.
            "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n--B--",
            "--B\r\n--B\r\n\r\n1\r\n--B--",
            // Lines that end with LF alone, or CR alone.
            "--B\nContent-Disposition: form-data; name=\"a\"\n\n1\n--B--\n",
            "--B\rContent-Disposition: form-data; name=\"a\"\r\r1\r--B--\r",
            "--B\r\nContent-Disposition: form-data; name=\"a\"\n\n1\r\n--B--",
        ])
    func incomplete(body: String) {
        #expect(throws: (any Error).self) { try parse(body) }
    }

    @Test("a form may have no parts, and a part no content")
    func empty() throws {
        #expect(try parse("--B--").parts.isEmpty)
        #expect(try part("Content-Disposition: form-data; name=a", "")?.bytes.isEmpty == true)
        // The empty line and the delimiter may share a line break.
        let short = try parse("--B\r\nContent-Disposition: form-data; name=a\r\n\r\n--B--")
        #expect(try short.fields == ["a": ""])
    }

    @Test(
        "content may look like a delimiter",
        arguments: [
            "x--B\r\n", "\r\n--", "\r\n--b--", "\r\n--BB\r\n\r\nnested\r\n--BB--",
            "\r\n-B",
            "\r\n--B.", "\r\n--B x", "\r\n--B-", "\n--B\n", "\r--B\r", "\r\r\n", "\r\n", "--\r\n-",
            "\r\n--B\n",
        ])
    func lookalike(content: String) throws {
        let form = try parse(
            "--B\r\nContent-Disposition: form-data; name=a\r\n\r\n\(content)\r\n--B--")
        #expect(try form.fields == ["a": content])
    }

    @Test("a form within a form is content, whichever boundary is the longer one")
    func nested() throws {
        let inner = "--BB\r\nContent-Disposition: form-data; name=i\r\n\r\n1\r\n--BB--"
        let outer = "--B\r\nContent-Disposition: form-data; name=o\r\n\r\n\(inner)\r\n--B--"
        #expect(try parse(outer).fields == ["o": inner])
        #expect(try parse(inner, "BB").fields == ["i": "1"])
    }

    @Test("a form arrives in chunks of any size", arguments: [1, 2, 7, 61])
    func chunks(size: Int) async throws {
        let file = try ImageEncoder.encode(
            RGBImage(width: 16, height: 16, filledWith: (1, 2, 3)))
        let form = EditRouteTests.form([EditRouteTests.text("prompt", "p"), ("image", "i", file)])
        var body: [UInt8] = []
        for start in stride(from: 0, to: form.count, by: size) {
            let chunk = form[start..<min(form.count, start + size)]
            body += Array("\(String(chunk.count, radix: 16))\r\n".utf8) + chunk + [13, 10]
        }
        body += Array("0\r\n\r\n".utf8)
        let head =
            "POST /v1/images/edits HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            + "Content-Type: multipart/form-data; boundary=B\r\nTransfer-Encoding: chunked\r\n\r\n"
        let request = ByteBuffer(bytes: Array(head.utf8) + body)
        try await withGateway(try FakeGenerator()) { client in
            let answer = try await rawExchange(port: client.port, request) { _ in }
            #expect(answer.hasPrefix("HTTP/1.1 200 "))
        }
    }

    // MARK: - Headers

    @Test(
        "names and file names",
        arguments: [
            (#"form-data; name="a"; filename="b.png""#, "a", "b.png"),
            (#"form-data; filename="b.png"; name="a""#, "a", "b.png"),
            (#"form-data;name=a;filename=b.png"#, "a", "b.png"),
            (#"form-data; name=a; filename=b.png ; size=1"#, "a", "b.png"),
            (#"form-data ; name = "a""#, "a", nil),
            // Quotes, as escaped by programs and by browsers; backslashes of Windows.
            (#"form-data; name="a\"b"; filename="c\\d\".png""#, "a\"b", #"c\d".png"#),
            (#"form-data; name="a%22b"; filename="c%22.png""#, "a\"b", "c\".png"),
            (#"form-data; name="a"; filename="C:\temp\b.png""#, "a", #"C:\temp\b.png"#),
            // Text that looks like a parameter within another one.
            (#"form-data; filename="; name=x"; name="a""#, "a", "; name=x"),
            (#"form-data; filename="x; filename=y"; name=a"#, "a", "x; filename=y"),
            (#"form-data; myname=x; name=a"#, "a", nil),
            // The first of equal names counts.
            (#"form-data; name=a; name=b"#, "a", nil),
            // Extended values, and those that cannot be decoded.
            (
                #"form-data; name=a; filename="x"; filename*=UTF-8''na%C3%AFve.png"#, "a",
                "naïve.png"
            ),
            (#"form-data; name=a; filename*=utf-8'en'%e7%8c%ab.png; filename=x"#, "a", "猫.png"),
            (#"form-data; name=a; filename*=UTF-8''%FF; filename=x"#, "a", "x"),
            (#"form-data; name=a; filename*=EBCDIC''y; filename=x"#, "a", "x"),
            (#"form-data; name=a; filename*=y; filename=x"#, "a", "x"),
            (#"form-data; name="猫"; filename="狗.png""#, "猫", "狗.png"),
            (#"form-data; name="a"; filename="""#, "a", ""),
            // Malformed, and read as far as it goes.
            (#"form-data; name="a"#, "a", nil), (#"form-data; name="a\"#, #"a\"#, nil),
            (#"; name=a"#, "a", nil), (#"form-data;;;; name=a;;"#, "a", nil),
            (#"form-data; =; name=a; filename"#, "a", nil),
        ] as [(String, String, String?)])
    func names(disposition: String, name: String, file: String?) throws {
        let found = try #require(try part("Content-Disposition: \(disposition)"))
        #expect(found.name == name)
        #expect(found.fileName == file)
    }

    @Test(
        "boundaries",
        arguments: [
            ("multipart/form-data; boundary=abc", "abc"),
            ("multipart/form-data;boundary=abc", "abc"),
            ("multipart/form-data; boundary=\"a;b=c\"", "a;b=c"),
            ("multipart/form-data; BOUNDARY=abc; charset=utf-8", "abc"),
            ("multipart/form-data; x=\"boundary=no\"; boundary=yes", "yes"),
            (
                "multipart/form-data; boundary=\(String(repeating: "x", count: 70))",
                String(repeating: "x", count: 70)
            ),
            ("multipart/form-data; boundary=\(String(repeating: "x", count: 71))", nil),
            ("multipart/form-data; boundary=\"\"", nil), ("multipart/form-data; boundary", nil),
            ("multipart/mixed; boundary=abc", nil), ("", nil), (";", nil), ("=", nil),
        ] as [(String, String?)])
    func boundary(type: String, expected: String?) {
        #expect(MultipartForm.boundary(of: type) == expected)
    }

    // MARK: - Limits

    private func message(_ body: [UInt8]) -> String {
        do {
            _ = try MultipartForm(body, boundary: "B")
            return ""
        } catch { return "\(error)" }
    }

    @Test("the number of parts is limited, those without a name included")
    func partCount() throws {
        for header in ["Content-Disposition: form-data; name=a\r\n", ""] {
            let part = "--B\r\n\(header)\r\nx\r\n"
            let most = String(repeating: part, count: MultipartForm.maximumParts)
            #expect(message(Array((most + "--B--").utf8)) == "")
            #expect(message(Array((most + part + "--B--").utf8)).contains("at most 200 parts"))
        }
    }

    @Test("the header of a part is limited, in one line or in many")
    func headerSize() throws {
        let limit = MultipartForm.maximumHeaderBytes
        for line in [
            String(repeating: "a", count: 3 * limit), String(repeating: "a: b\r\n", count: limit),
        ] {
            let body = "--B\r\n\(line)\r\n\r\nx\r\n--B--"
            #expect(message(Array(body.utf8)).contains("at most \(limit) bytes"))
        }
        let long = String(repeating: "n", count: limit - 100)
        #expect(try part("Content-Disposition: form-data; x=\(long); name=a")?.name == "a")
    }

    @Test("hostile bodies take linear time")
    func linearTime() {
        let size = 4 << 20
        let start = "--B\r\nContent-Disposition: form-data; name=a\r\n\r\n"
        let pieces = [
            "\r", "\n", "\r\n", "\r\n-", "\r\n--", "\r\n--B", "\r\n--B ", "--B", "\r\n--B-",
            "\r\n--B\r", " ", "\"",
            "\r\n--B\r\n", "\r\n--B\r\n\r\n",
        ]
        let begin = ContinuousClock.now
        for piece in pieces {
            let text = Array(String(repeating: piece, count: size / piece.utf8.count).utf8)
            _ = message(text)
            _ = message(Array(start.utf8) + text)
            _ = message(Array("--B\r\n".utf8) + text)
        }
        // 150 MB: less than a second alone, hours if the time were quadratic.
        #expect(ContinuousClock.now - begin < .seconds(50))
    }

    // MARK: - Random forms

    /// Fragments of forms, so that random text is often close to a form.
    private static let fragments = [
        "--B", "--B--", "\r\n", "\r\n\r\n", "\r", "\n", "--", "-", ";", "=", "\"", "\\", "'", "*",
        "%22", "%", ":",
        " ", "\t", "name", "filename", "filename*=UTF-8''",
        "Content-Disposition: form-data; name=a", "\0", "é", "猫",
    ].map { Array($0.utf8) }

    private func content(_ random: inout SeededGenerator) -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0..<Int.random(in: 0...12, using: &random) {
            if Bool.random(using: &random) {
                bytes += Self.fragments.randomElement(using: &random) ?? []
            } else {
                bytes.append(UInt8.random(in: 0...255, using: &random))
            }
        }
        return bytes
    }

    /// A form of random parts, with the parts.
    private func form(
        _ boundary: String, _ random: inout SeededGenerator
    ) -> (body: [UInt8], parts: [[UInt8]]) {
        var (body, parts): ([UInt8], [[UInt8]]) = ([], [])
        for number in 0..<Int.random(in: 0...5, using: &random) {
            let bytes = content(&random)
            parts.append(bytes)
            let file = Bool.random(using: &random) ? "; filename=\"f\(number)\"" : ""
            body += Array(
                "--\(boundary)\r\nContent-Disposition: form-data; name=\"\(number)\"\(file)\r\n\r\n"
                    .utf8)
            body += bytes + Array("\r\n".utf8)
        }
        return (body + Array("--\(boundary)--\r\n".utf8), parts)
    }

    @Test("forms that are written are read with the same parts")
    func roundTrip() throws {
        var random = SeededGenerator(state: 7)
        for _ in 0..<2000 {
            // A boundary that no content can have: its letters are in no fragment.
            let (body, parts) = form("Zq9xZq9x", &random)
            let read = try MultipartForm(body, boundary: "Zq9xZq9x").parts
            #expect(read.map(\.name) == parts.indices.map(String.init))
            #expect(read.map { Array($0.bytes) } == parts)
        }
    }

    @Test("damaged forms are read or refused, and never trap")
    func mutations() {
        var random = SeededGenerator(state: 11)
        var (read, refused) = (0, 0)
        for _ in 0..<20000 {
            var (body, _) = form("B", &random)
            for _ in 0..<Int.random(in: 1...4, using: &random) { mutate(&body, &random) }
            do {
                let form = try MultipartForm(body, boundary: "B")
                read += 1
                #expect(form.parts.count <= MultipartForm.maximumParts)
                for part in form.parts {
                    #expect(part.bytes.startIndex >= 0 && part.bytes.endIndex <= body.count)
                }
                if let fields = try? form.fields { #expect(fields.count <= form.parts.count) }
                _ = form.files("0", "1")
            } catch { refused += 1 }
        }
        // Mutations that leave everything valid, or nothing, would prove little.
        #expect(read > 2000 && refused > 2000, "\(read) read, \(refused) refused")
    }

    @Test("random header values are read without a trap")
    func headerValues() throws {
        var random = SeededGenerator(state: 13)
        for _ in 0..<20000 {
            let value = String(decoding: content(&random), as: UTF8.self)
            _ = MultipartForm.boundary(of: "multipart/form-data; \(value)")
            _ = MultipartForm.boundary(of: value)
            let line = value.split(whereSeparator: \.isNewline).joined()
            _ = try part("Content-Disposition: form-data; name=a; \(line)")
        }
    }

    private func mutate(_ body: inout [UInt8], _ random: inout SeededGenerator) {
        let place = Int.random(in: 0...body.count, using: &random)
        let end = min(body.count, place + Int.random(in: 1...12, using: &random))
        switch Int.random(in: 0..<6, using: &random) {
        case 0:
            body.insert(contentsOf: Self.fragments.randomElement(using: &random) ?? [], at: place)
        case 1: body.removeSubrange(place..<end)
        case 2:
            body.insert(
                contentsOf: body[place..<end], at: Int.random(in: 0...body.count, using: &random))
        case 3: body.removeSubrange(place...)
        case 4 where place < body.count: body[place] = UInt8.random(in: 0...255, using: &random)
        default:
            body.replaceSubrange(
                place..<end, with: Self.fragments.randomElement(using: &random) ?? [])
        }
    }
}
