// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Imaging
import Testing

/// A folder that is gone after the test.
private final class Scratch {
    let path: String

    init() throws {
        let url = FileManager.default.temporaryDirectory
            .appending(path: "imaging-\(UInt64.random(in: .min ... .max))")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
        path = url.path
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] }
}

@Suite struct ImageFileTests {
    @Test("a file is written, replaced and read back, with nothing left beside it")
    func writesAndReads() throws {
        let scratch = try Scratch()
        let path = scratch.path + "/a.png"
        let image = try makePicture(width: 9, height: 7)
        try ImageFile.writeAtomically([1, 2, 3], to: path)
        try ImageFile.writeAtomically(ImageEncoder.encode(image), to: path)
        #expect(try ImageFile.read(from: path).image == image)
        #expect(scratch.names == ["a.png"])
    }

    @Test("a link is followed and the old permissions stay")
    func followsLinks() throws {
        let scratch = try Scratch()
        let manager = FileManager.default
        try ImageFile.writeAtomically([1], to: scratch.path + "/real")
        try manager.setAttributes([.posixPermissions: 0o640], ofItemAtPath: scratch.path + "/real")
        try manager.createSymbolicLink(
            atPath: scratch.path + "/link",
            withDestinationPath: scratch.path + "/real"
        )
        try ImageFile.writeAtomically([2], to: scratch.path + "/link")
        #expect(try ImageFile.readBytes(from: scratch.path + "/real", maximumBytes: 9) == [2])
        let kind = try manager.attributesOfItem(atPath: scratch.path + "/link")[.type]
        #expect(kind as? FileAttributeType == .typeSymbolicLink)
        let mode = try manager.attributesOfItem(atPath: scratch.path + "/real")[.posixPermissions]
        #expect(mode as? Int == 0o640)
    }

    @Test("a missing folder is not found")
    func missingFolder() throws {
        let scratch = try Scratch()
        let path = scratch.path + "/no/a.png"
        let error = #expect(throws: ImagingError.self) {
            try ImageFile.writeAtomically([1], to: path)
        }
        #expect(error?.code == .notFound)
        #expect(
            error?.message
                == "Cannot write '\(path)': expected a folder '\(scratch.path)/no', found none."
        )
    }

    @Test("a folder in place of the file is refused")
    func folderInPlace() throws {
        let scratch = try Scratch()
        let error = #expect(throws: ImagingError.self) {
            try ImageFile.writeAtomically([1], to: scratch.path)
        }
        #expect(error?.code == .invalidArgument)
    }

    @Test("a folder without permission is refused", .enabled(if: geteuid() != 0))
    func readOnlyFolder() throws {
        let scratch = try Scratch()
        let manager = FileManager.default
        try manager.setAttributes([.posixPermissions: 0o555], ofItemAtPath: scratch.path)
        defer {
            try? manager.setAttributes([.posixPermissions: 0o755], ofItemAtPath: scratch.path)
        }
        let error = #expect(throws: ImagingError.self) {
            try ImageFile.writeAtomically([1], to: scratch.path + "/a.png")
        }
        #expect(error?.code == .permissionDenied)
    }

    @Test(
        "a full device is said to be full",
        .enabled(if: FileManager.default.fileExists(atPath: "/dev/full"))
    )
    func fullDevice() {
        let error = #expect(throws: ImagingError.self) {
            try ImageFile.writeAtomically([1], to: "/dev/full")
        }
        #expect(error?.code == .diskFull)
        #expect(error?.message == "Cannot write '/dev/full': no space is left in '/dev'.")
    }

    @Test(
        "the system's numbers become reasons",
        arguments: [
            (ENOENT, ImagingError.Code.notFound), (ENOTDIR, .notFound),
            (EACCES, .permissionDenied), (EROFS, .permissionDenied), (ENOSPC, .diskFull),
            (EDQUOT, .diskFull), (EIO, .inputOutput),
        ]
    )
    func mapsNumbers(number: Int32, code: ImagingError.Code) {
        #expect(ImageFile.failure(number, doing: "write", "out/a.png").code == code)
    }

    @Test("reading a missing or too large file fails in words")
    func readingFails() throws {
        let scratch = try Scratch()
        let path = scratch.path + "/a"
        #expect {
            try ImageFile.readBytes(from: path, maximumBytes: 10)
        } throws: { error in
            "\(error)" == "Cannot read '\(path)': expected a file, found none. Check the path."
        }
        try ImageFile.writeAtomically([UInt8](repeating: 0, count: 11), to: path)
        let error = #expect(throws: ImagingError.self) {
            try ImageFile.readBytes(from: path, maximumBytes: 10)
        }
        #expect(error?.code == .tooLarge)
    }
}
