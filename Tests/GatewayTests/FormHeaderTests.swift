// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Gateway
import Testing

/// Headers and encodings of the parts of forms, as programs write them that are not browsers.
@Suite("Headers of forms", .timeLimit(.minutes(5)))
struct FormHeaderTests {
    private func part(_ header: String, _ content: [UInt8] = Array("x".utf8)) throws
        -> MultipartForm.Part?
    {
        let body = Array("--B\r\n\(header)\r\n\r\n".utf8) + content + Array("\r\n--B--".utf8)
        return try MultipartForm(body, boundary: "B").parts.first
    }

    private func field(_ header: String, _ content: [UInt8]) throws -> String? {
        let body = Array("--B\r\n\(header)\r\n\r\n".utf8) + content + Array("\r\n--B--".utf8)
        return try MultipartForm(body, boundary: "B").fields["a"]
    }

    @Test(
        "names of files",
        arguments: [
            // Blanks, tabs, case, folded lines, and a blank before the colon.
            ("Content-Disposition:form-data;\tNAME\t=\t\"a\"\t;\tFileName = b.png", "b.png"),
            (
                "CONTENT-DISPOSITION: Form-Data;\r\n name=\"a\";\r\n\tfilename=\"b c.png\"",
                "b c.png"
            ),
            (
                "Content-Type: image/png\r\nContent-Disposition : form-data; name=a; filename=\"b.png\"",
                "b.png"
            ),
            // Other character sets, and one that is unknown: it is a file all the same.
            (
                "Content-Disposition: form-data; name=a; filename*=iso-8859-1'de'M%FCnze.png",
                "Münze.png"
            ),
            ("Content-Disposition: form-data; name=a; FILENAME*=Windows-1252''%80.png", "€.png"),
            (
                "Content-Disposition: form-data; name=a; filename*=koi8-r''%C1.png",
                "koi8-r''%C1.png"
            ),
            ("Content-Disposition: form-data; name=a; filename*=UTF-8''%zz.png", "UTF-8''%zz.png"),
            ("Content-Disposition: form-data; name=a; filename*=UTF-8''a%2", "UTF-8''a%2"),
            // Values in pieces.
            (
                "Content-Disposition: form-data; name=a; filename*0=\"long \"; filename*1=name.png",
                "long name.png"
            ),
            (
                "Content-Disposition: form-data; name=a; filename*1*=%8C%AB; filename*0*=utf-8''%E7; filename*2=.png",
                "猫.png"
            ),
            // What browsers escape.
            (
                "Content-Disposition: form-data; name=a; filename=\"x%0D%0Ay%22.png\"",
                "x\r\ny\".png"
            ),
        ])
    func names(header: String, file: String) throws {
        let found = try #require(try part(header))
        #expect(found.name == "a" && found.fileName == file)
    }

    @Test("parts may be base64 or quoted-printable")
    func transferEncodings() throws {
        let disposition =
            "Content-Disposition: form-data; name=a; filename=f\r\nContent-Transfer-Encoding: "
        for (encoding, content, bytes) in [
            ("BASE64", "AP/+\r\nAQ==", [0, 0xFF, 0xFE, 1]), ("binary", "=3D", Array("=3D".utf8)),
            ("Quoted-Printable", "a=3Db=\r\nc= \r\n=ff", Array("a=bc".utf8) + [0xFF]),
            ("7bit", "=", [0x3D]),
        ] as [(String, String, [UInt8])] {
            let found = try #require(try part(disposition + encoding, Array(content.utf8)))
            #expect(Array(found.bytes) == bytes, "\(encoding)")
        }
        for (encoding, content) in [
            ("base64", "a b!"), ("quoted-printable", "=x"), ("uuencode", "x"),
        ] {
            #expect(throws: (any Error).self) {
                try part(disposition + encoding, Array(content.utf8))
            }
        }
    }

    @Test("text is in the character set of its part, of the form, or UTF-8")
    func charsets() throws {
        let disposition = "Content-Disposition: form-data; name=a"
        #expect(try field(disposition, Array("Ünze".utf8)) == "Ünze")
        let latin: [UInt8] = [0xDC] + Array("nze".utf8)
        #expect(
            try field(disposition + "\r\nContent-Type: text/plain; charset=ISO-8859-1", latin)
                == "Ünze")
        #expect(
            try field(disposition + "\r\nContent-Type: text/plain;CHARSET=\"latin1\"", latin)
                == "Ünze")
        #expect(
            try field(disposition + "\r\nContent-Type: text/plain; charset=windows-1252", [0x80])
                == "€")
        #expect(
            try field(disposition + "\r\nContent-Type: text/plain; charset=utf-16le", [0x2B, 0x73])
                == "猫")
        let form =
            Array(
                "--B\r\nContent-Disposition: form-data; name=_charset_\r\n\r\niso-8859-1\r\n--B\r\n\(disposition)\r\n\r\n"
                    .utf8)
            + latin + Array("\r\n--B--".utf8)
        #expect(try MultipartForm(form, boundary: "B").fields["a"] == "Ünze")
        #expect(throws: (any Error).self) { try field(disposition, latin) }
        #expect(throws: (any Error).self) {
            try field(disposition + "\r\nContent-Type: text/plain; charset=x-unknown", latin)
        }
    }

    @Test("a form within a form is refused in words")
    func nested() {
        #expect(throws: (any Error).self) {
            try part(
                "Content-Disposition: form-data; name=a\r\nContent-Type: multipart/mixed; boundary=C"
            )
        }
    }

    @Test("any spelling of a header has the same meaning")
    func spellings() throws {
        var random = SeededGenerator(state: 17)
        func pick(_ texts: String...) -> String { texts.randomElement(using: &random) ?? "" }
        func cased(_ text: String) -> String {
            String(
                text.map { character in
                    Bool.random(using: &random)
                        ? Character(character.uppercased()) : Character(character.lowercased())
                })
        }
        for _ in 0..<3000 {
            let blanks = { pick("", " ", "\t", " \t", "\r\n ", "\r\n\t ") }
            let name = pick(
                "name=a", "name=\"a\"", "name = a", "name\t=\t\"a\"", "name*=UTF-8''a", "name*0=a")
            let file = pick(
                "filename=b", "filename=\"b\"", "filename*=utf-8''b", "filename*=UTF-8'en'%62",
                "filename*0=\"\"; filename*1=b", "filename = \"b\"")
            let extra = pick("", "; size=1", "; x=\"; name=z\"", ";", "; y")
            let both = Bool.random(using: &random) ? [name, file] : [file, name]
            let parameters = both.map { item in
                let key = item.prefix { $0 != "=" }
                return blanks() + cased(String(key)) + item.dropFirst(key.count)
            }
            let header =
                cased("content-disposition") + pick(":", " :", "\t:") + blanks()
                + cased("form-data") + pick("", " ")
                + ";" + parameters.joined(separator: pick(";", " ;", "\t; ")) + extra
            let found = try #require(try part(header), "\(header)")
            #expect(found.name == "a" && found.fileName == "b", "\(header)")
        }
    }
}
