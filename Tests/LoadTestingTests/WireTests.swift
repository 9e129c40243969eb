// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Imaging
import LoadTesting
import Testing

struct WireTests {
    @Test func eventsAreParsedFromAnyChunks() {
        let stream = Array(
            ": ping\n\nevent: a\ndata: {\"x\": 1}\n\ndata: one\r\ndata: two\r\n\r\nid: 7\rdata:three\r\r"
                .utf8)
        let expected = [("a", "{\"x\": 1}"), ("message", "one\ntwo"), ("message", "three")]
        for length in 1...stream.count {
            var parser = ServerSentEvents()
            var events: [ServerSentEvents.Event] = []
            for start in stride(from: 0, to: stream.count, by: length) {
                events += parser.append(Array(stream[start..<min(stream.count, start + length)]))
            }
            #expect(events.map(\.name) == expected.map(\.0))
            #expect(events.map { String(decoding: $0.data, as: UTF8.self) } == expected.map(\.1))
        }
    }

    @Test func longStringsAreCutOutOfJSON() throws {
        let long = String(repeating: "AB/9", count: 1000)
        let escaped = long.replacingOccurrences(of: "/", with: "\\/")
        let text = #"{"a":"short \" one","b":""# + long + #"","c":[""# + escaped + #""],"d":"\\"}"#
        let cut = CutJSON(Array(text.utf8))
        #expect(
            String(decoding: cut.document, as: UTF8.self)
                == #"{"a":"short \" one","b":"@0","c":["@1"],"d":"\\"}"#)
        #expect(cut.strings == [Array(long.utf8), Array(long.utf8)])
        #expect(cut.text("@1") == Array(long.utf8))
        #expect(cut.text("short") == Array("short".utf8))
    }

    @Test func aLongStringWithOtherEscapesIsRetained() {
        let text = #"{"a":""# + String(repeating: #"\""#, count: 2000) + #""}"#
        #expect(CutJSON(Array(text.utf8)).document == Array(text.utf8))
    }

    @Test(arguments: ImageFormat.allCases)
    func headersHaveFormatAndSize(_ format: ImageFormat) throws {
        let image = try MockImage.generate("x", width: 80, height: 48)
        let file = try ImageEncoder.encode(image, as: ImageEncoding(format: format))
        let header = try #require(ImageBytes.file(file).header)
        #expect((header.format, header.width, header.height) == (format.rawValue, 80, 48))
        let text = Array("data:image/png;base64,\(Data(file).base64EncodedString())".utf8)
        #expect(ImageBytes(text: text).header == header)
        #expect(ImageBytes(text: text).decoded == file)
        #expect(ImageBytes.file(Array(file.prefix(9))).header == nil)
    }

    @Test func imagesAreChecked() throws {
        let wanted = RequestParameters(prompt: "", width: 64, height: 64, steps: 1, seed: 1)
        func check(_ image: RGBImage, _ format: ImageFormat = .png) throws -> ErrorClass? {
            ImageCheck.check(
                try ImageEncoder.encode(image, as: ImageEncoding(format: format)), wanted: wanted
            ).error
        }
        #expect(try check(MockImage.generate("a", width: 64, height: 64)) == nil)
        #expect(try check(MockImage.generate("a", width: 80, height: 64)) == .wrongSize)
        #expect(try check(MockImage.generate("a", width: 64, height: 64), .webp) == .wrongFormat)
        let grey = try RGBImage(width: 64, height: 64, filledWith: (red: 9, green: 9, blue: 9))
        #expect(try check(grey) == .blank)
        #expect(ImageCheck.check([1, 2, 3], wanted: wanted).error == .decode)
    }

    @Test func differenceHashesOfSimilarImagesAreSimilar() throws {
        let first = try MockImage.generate("a", width: 144, height: 128)
        var pixels = first.pixels
        pixels[100] ^= 1
        let near = try RGBImage(width: 144, height: 128, pixels: pixels)
        let far = try MockImage.generate("b", width: 144, height: 128)
        func bits(_ one: RGBImage, _ two: RGBImage) throws -> Int {
            let a = try #require(UInt64(ImageCheck.differenceHash(one), radix: 16))
            let b = try #require(UInt64(ImageCheck.differenceHash(two), radix: 16))
            return (a ^ b).nonzeroBitCount
        }
        #expect(try bits(first, near) <= 1)
        #expect(try bits(first, far) > 10)
        #expect(ImageCheck.digest(first) != ImageCheck.digest(near))
    }
}
