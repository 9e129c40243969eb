// Part of Inkstone. Licence: see LICENSE.

import Dispatch
import Foundation
import Testing

/// The built program, run as a person runs it.
enum Program {
    /// What a run left behind.
    struct Result: Sendable {
        var status: Int32
        var output: String
        var errors: String
    }

    /// The checkout that these tests belong to.
    static let repository = URL(filePath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// The folder of the model that comes with the program.
    static let model = repository.appending(path: "Models/emoji-nano")

    /// The program beside the test bundle, or the one that `INKSTONE_PROGRAM` names.
    static func find() throws -> URL {
        if let path = ProcessInfo.processInfo.environment["INKSTONE_PROGRAM"] {
            return URL(filePath: path)
        }
        let places =
            [Bundle.main.executableURL, Bundle.main.bundleURL, URL(filePath: "/proc/self/exe")]
            .compactMap { $0?.resolvingSymlinksInPath() } + Bundle.allBundles.map(\.bundleURL)
        for place in places {
            var folder = place
            for _ in 0..<4 {
                folder = folder.deletingLastPathComponent()
                let program = folder.appending(path: "inkstone")
                var isFolder = ObjCBool(false)
                let isThere = FileManager.default.fileExists(
                    atPath: program.path, isDirectory: &isFolder)
                if isThere, !isFolder.boolValue { return program }
            }
        }
        throw CocoaError(.fileNoSuchFile)
    }

    /// What the program finds in its environment: nothing that differs between machines.
    static func environment(home: URL, _ more: [String: String] = [:]) -> [String: String] {
        [
            "HOME": home.path, "PATH": "/usr/bin:/bin", "COLUMNS": "80", "LANG": "C.UTF-8",
            "INKSTONE_MODELS": repository.appending(path: "Models").path,
        ].merging(more) { $1 }
    }

    /// Runs the program to its end, in a folder, with nothing on standard input.
    static func run(
        _ arguments: [String], in folder: TemporaryFolder, environment: [String: String] = [:]
    ) async throws -> Result {
        // Files, not pipes: a full pipe would block the program.
        let streams = try TemporaryFolder()
        let (output, errors) = (
            streams.url.appending(path: "out"), streams.url.appending(path: "err")
        )
        try streams.write("", to: "out")
        try streams.write("", to: "err")
        let process = Process()
        process.executableURL = try find()
        process.arguments = arguments
        process.currentDirectoryURL = folder.url
        process.environment = Self.environment(home: streams.url, environment)
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = try FileHandle(forWritingTo: errors)
        // A run that hangs fails its own test alone.
        let watchdog = DispatchWorkItem { kill(process.processIdentifier, SIGKILL) }
        try await withCheckedThrowingContinuation {
            (continuation: CheckedContinuation<Void, any Error>) in
            process.terminationHandler = { _ in continuation.resume() }
            do {
                try process.run()
                DispatchQueue.global().asyncAfter(deadline: .now() + 90, execute: watchdog)
            } catch {
                continuation.resume(throwing: error)
            }
        }
        watchdog.cancel()
        return Result(
            status: process.terminationReason == .exit ? process.terminationStatus : -1,
            output: try String(contentsOf: output, encoding: .utf8),
            errors: try String(contentsOf: errors, encoding: .utf8))
    }

    /// A run of `generate` that must succeed: a small picture, quickly made.
    static func generate(
        _ arguments: String..., in folder: TemporaryFolder,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Report {
        let result = try await run(
            ["generate", "a cat", "--json", "--threads", "1"] + small + arguments, in: folder)
        #expect(result.status == 0, "\(result.errors)", sourceLocation: sourceLocation)
        return try Report(result, sourceLocation: sourceLocation)
    }

    /// Options of a picture that takes little time.
    static let small = ["--width", "64", "--height", "64", "--steps", "2", "--seed", "5"]
}
