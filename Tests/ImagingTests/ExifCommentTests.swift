// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Imaging
import Testing

/// User comments in every form in which programs write them, in JPEG and PNG files.
@Suite struct ExifCommentTests {
    /// A comment as one program writes it.
    struct Comment: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var code: String
        var bytes: [UInt8]
        var type: UInt16 = 7
        var isLittleEndian = false
        /// In the first directory in place of the Exif directory.
        var isMisplaced = false
        var text = "a cat, 墨\nSteps: 8, Seed: 7, Size: 64x32"
    }

    private static let text = "a cat, 墨\nSteps: 8, Seed: 7, Size: 64x32"
    private static let plain = "a cat\nSteps: 8, Seed: 7, Size: 64x32"

    private static func utf16(_ text: String, little: Bool, mark: Bool = false) -> [UInt8] {
        ((mark ? [0xFEFF] : []) + Array(text.utf16)).flatMap {
            little ? [UInt8($0 & 255), UInt8($0 >> 8)] : [UInt8($0 >> 8), UInt8($0 & 255)]
        }
    }

    private static let comments: [Comment] =
        [false, true].flatMap { order in
            [false, true].flatMap { text in
                [false, true].map { mark in
                    Comment(
                        testDescription: "UTF-16, little: \(text), block: \(order), mark: \(mark)",
                        code: "UNICODE\0", bytes: utf16(Self.text, little: text, mark: mark),
                        isLittleEndian: order)
                }
            }
        } + [
            Comment(
                testDescription: "UTF-8 as Unicode", code: "UNICODE\0", bytes: Array(text.utf8)),
            Comment(
                testDescription: "UTF-8 as ASCII", code: "ASCII\0\0\0", bytes: Array(text.utf8)),
            Comment(
                testDescription: "ASCII with blanks and NUL", code: "ASCII   ",
                bytes: Array(plain.utf8) + [0, 0], text: plain),
            Comment(
                testDescription: "Latin-1", code: "ASCII\0\0\0",
                bytes: Array("caf".utf8) + [0xE9] + Array("\nSteps: 8, Seed: 7, Size: 64x32".utf8),
                text: "café\nSteps: 8, Seed: 7, Size: 64x32"),
            Comment(
                testDescription: "undefined", code: "\0\0\0\0\0\0\0\0", bytes: Array(text.utf8)),
            Comment(testDescription: "without a code", code: "", bytes: Array(text.utf8)),
            Comment(
                testDescription: "ISO-2022-JP", code: "JIS\0\0\0\0\0",
                bytes: [0x1B, 0x24, 0x42, 0x47, 0x2D, 0x1B, 0x28, 0x42]
                    + Array("\nSteps: 8, Seed: 7, Size: 64x32".utf8),
                text: "猫\nSteps: 8, Seed: 7, Size: 64x32"),
            Comment(
                testDescription: "Shift JIS", code: "JIS\0\0\0\0\0",
                bytes: [0x94, 0x4C] + Array("\nSteps: 8, Seed: 7, Size: 64x32".utf8),
                text: "猫\nSteps: 8, Seed: 7, Size: 64x32"),
            Comment(
                testDescription: "in the first directory", code: "UNICODE\0",
                bytes: utf16(text, little: false), isMisplaced: true),
        ]
        + [1, 2, 6, 129].map {
            Comment(
                testDescription: "type \($0)", code: "UNICODE\0", bytes: utf16(text, little: true),
                type: $0, isLittleEndian: true)
        }

    @Test("a comment is read in JPEG and PNG files", arguments: comments)
    func reads(comment: Comment) throws {
        let image = try RGBImage(
            width: 2, height: 2, pixels: [UInt8](repeating: 128, count: 12))
        let block = Self.block(comment)
        let jpeg = try ImageEncoder.encode(image, as: .jpeg())
        #expect(
            try ImageDecoder.decode(Self.insert(block, intoJPEG: jpeg)).metadata.parameters
                == comment.text)
        let png = try ImageEncoder.encode(image)
        #expect(
            try ImageDecoder.decode(Self.insert(block, intoPNG: png)).metadata.parameters
                == comment.text)
    }

    @Test(
        "the comment of the Exif directory goes before a misplaced one, the text chunk before both")
    func precedence() throws {
        let image = try RGBImage(width: 1, height: 1, pixels: [1, 2, 3])
        let own = "own\nSteps: 1, Seed: 2, Size: 1x1"
        let png = try ImageEncoder.encode(image, metadata: ImageMetadata(parameters: own))
        let file = Self.insert(Self.block(Self.comments[0]), intoPNG: png)
        #expect(try ImageDecoder.decode(file).metadata.parameters == own)
    }

    @Test(
        "a damaged comment leaves the image",
        arguments: [UInt32(3), 8, 9, 0x7FFF_FFFF, 0xFFFF_FFFF])
    func damaged(count: UInt32) throws {
        let image = try RGBImage(width: 1, height: 1, pixels: [9, 9, 9])
        var block = Self.block(Self.comments[0])
        // The count of the comment's entry in the Exif directory.
        for place in 0..<4 {
            block[26 + 2 + 4 + place] = UInt8(count >> (24 - 8 * UInt32(place)) & 255)
        }
        let jpeg = try ImageEncoder.encode(image, as: .jpeg())
        #expect(try ImageDecoder.decode(Self.insert(block, intoJPEG: jpeg)).image.width == 1)
    }

    // MARK: Files

    /// A TIFF structure with one directory, and an Exif directory unless the comment is in the first.
    private static func block(_ comment: Comment) -> [UInt8] {
        let value = Array(comment.code.utf8) + comment.bytes
        func number(_ value: Int, _ size: Int) -> [UInt8] {
            let bytes = (0..<size).map { UInt8(value >> (8 * $0) & 255) }
            return comment.isLittleEndian ? bytes : bytes.reversed()
        }
        func directory(_ tag: Int, _ type: Int, _ count: Int, _ offset: Int) -> [UInt8] {
            number(1, 2) + number(tag, 2) + number(type, 2) + number(count, 4) + number(offset, 4)
                + number(0, 4)
        }
        let head = Array((comment.isLittleEndian ? "II*\0" : "MM\0*").utf8) + number(8, 4)
        let type = Int(comment.type)
        if comment.isMisplaced {
            return head + directory(0x9286, type, value.count, 26) + value
        }
        return head + directory(0x8769, 4, 1, 26) + directory(0x9286, type, value.count, 44) + value
    }

    private static func insert(_ block: [UInt8], intoJPEG file: [UInt8]) -> [UInt8] {
        let payload = Array("Exif\0\0".utf8) + block
        let size = payload.count + 2
        return file[..<2] + [0xFF, 0xE1, UInt8(size >> 8), UInt8(size & 255)] + payload + file[2...]
    }

    private static func insert(_ block: [UInt8], intoPNG file: [UInt8]) -> [UInt8] {
        func bytes(_ number: UInt32) -> [UInt8] {
            (0..<4).map { UInt8(number >> (24 - 8 * $0) & 255) }
        }
        let chunk = Array("eXIf".utf8) + block
        var sum: UInt32 = 0xFFFF_FFFF
        for byte in chunk {
            sum ^= UInt32(byte)
            for _ in 0..<8 { sum = sum >> 1 ^ (sum & 1 == 1 ? 0xEDB8_8320 : 0) }
        }
        // Behind the header, which ends at byte 33.
        return file[..<33] + bytes(UInt32(block.count)) + chunk + bytes(~sum) + file[33...]
    }
}
