// Part of Inkstone. Licence: see LICENSE.

import Imaging
import Testing

@Suite struct ImageFormatTests {
    @Test("a format is found by its first bytes alone")
    func sniffs() {
        #expect(ImageFormat(sniffing: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) == .png)
        #expect(ImageFormat(sniffing: [0xFF, 0xD8, 0xFF, 0xE0]) == .jpeg)
        #expect(ImageFormat(sniffing: Array("RIFF....WEBP".utf8)) == .webp)
        #expect(ImageFormat(sniffing: Array("RIFF....WAVE".utf8)) == nil)
        #expect(ImageFormat(sniffing: Array("RIFF....WEB".utf8)) == nil)
        #expect(ImageFormat(sniffing: [0x89, 0x50]) == nil)
        #expect(ImageFormat(sniffing: []) == nil)
    }

    @Test("extension and media type name a format and back", arguments: ImageFormat.allCases)
    func namesInvert(format: ImageFormat) {
        #expect(ImageFormat(fileExtension: format.fileExtension) == format)
        #expect(ImageFormat(fileExtension: "." + format.fileExtension.uppercased()) == format)
        #expect(ImageFormat(mimeType: format.mimeType + "; q=1") == format)
        #expect(ImageFormat(path: "/a.b/picture.\(format.fileExtension)") == format)
        #expect(ImageEncoding(format: format).format == format)
        #expect(ImageEncoding(format: format, quality: 50).format == format)
    }

    @Test(
        "a path without a known extension has no format",
        arguments: ["", "/", "a.png/b", ".png", "a.gif", "png", "a."]
    )
    func otherPaths(path: String) {
        #expect(ImageFormat(path: path) == nil)
    }
}
