// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation
import Testing

@Suite("Atomic files")
struct AtomicFileTests {
    struct Failure: Error, Equatable {
        var number: Int32
    }

    private func scratch() throws -> URL {
        let folder = FileManager.default.temporaryDirectory
            .appending(path: "atomic-\(UInt64.random(in: 0 ... .max))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return folder
    }

    private func file(_ name: String, in folder: URL) throws -> AtomicFile<Failure> {
        try AtomicFile(
            folder.appending(path: name).path, in: folder.path, prefix: ".test-",
            permissions: 0o600, failure: Failure.init)
    }

    private func names(_ folder: URL) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path)
    }

    @Test("a file has its name after the commit, and no other file is left")
    func commit() throws {
        let folder = try scratch()
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = try file("a", in: folder)
        try file.extend(to: 4)
        let bytes: [UInt8] = [1]
        try bytes.withUnsafeBytes { try file.write($0, at: 1) }
        #expect(try names(folder).allSatisfy { $0.hasPrefix(".test-") && $0.hasSuffix(".tmp") })
        try file.commit()
        #expect(try names(folder) == ["a"])
        #expect(try Data(contentsOf: folder.appending(path: "a")) == Data([0, 1, 0, 0]))
    }

    @Test("a file that is not committed leaves nothing behind")
    func abandoned() throws {
        let folder = try scratch()
        defer { try? FileManager.default.removeItem(at: folder) }
        var file: AtomicFile<Failure>? = try file("a", in: folder)
        #expect(try names(folder).count == 1)
        try file?.synchronize()
        file = nil
        #expect(try names(folder).isEmpty)
    }

    @Test("a failed rename is reported and leaves nothing behind")
    func failedRename() throws {
        let folder = try scratch()
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.createDirectory(
            at: folder.appending(path: "a/b"), withIntermediateDirectories: true)
        let file = try file("a", in: folder)
        #expect(throws: Failure.self) { try file.commit() }
        #expect(try names(folder) == ["a"])
    }

    @Test("a missing folder is reported")
    func missingFolder() throws {
        let folder = try scratch()
        try FileManager.default.removeItem(at: folder)
        #expect(throws: Failure(number: ENOENT)) { _ = try file("a", in: folder) }
    }
}
