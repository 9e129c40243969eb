// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Testing

/// Ctrl-C and the progress line, on a terminal.
@Suite(.enabled(if: Terminal.isAvailable, "needs /dev/ptmx")) struct InterruptTests {
    /// A started program whose standard error is a terminal.
    private static func start(_ arguments: [String], in folder: TemporaryFolder) throws -> (
        Process, Terminal
    ) {
        let terminal = try Terminal()
        let process = Process()
        process.executableURL = try Program.find()
        process.arguments = arguments
        process.currentDirectoryURL = folder.url
        process.environment = Program.environment(home: folder.url)
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = terminal.program
        try process.run()
        // The program has its own copy; with ours closed, the screen ends when the program does.
        try terminal.program.close()
        return (process, terminal)
    }

    private static let long = [
        "generate", "a cat", "--steps", "200", "--width", "512", "--height", "512", "--count", "3",
        "--threads", "1",
    ]

    @Test("Ctrl-C ends a long run within one step and leaves no file", .timeLimit(.minutes(2)))
    func interrupt() async throws {
        let folder = try TemporaryFolder()
        let (process, terminal) = try Self.start(Self.long, in: folder)
        #expect(terminal.read(seconds: 60) { $0.contains("Sampling") }, "\(terminal.text)")
        // Output written before this test ran does not count as a step after the signal.
        terminal.drain()
        let before = try #require(terminal.step)
        process.interrupt()
        terminal.read(seconds: 60) { _ in false }
        process.waitUntilExit()
        #expect(process.terminationReason == .exit)
        #expect(process.terminationStatus == 130)
        // The step under way goes on in each of the three pictures of the batch; one more may end
        // between the look at the screen and the signal.
        let after = try #require(terminal.step)
        #expect(after - before <= 6, "\(before) steps before, \(after) after")
        #expect(terminal.text.hasSuffix("inkstone: Interrupted.\r\n"), "\(terminal.text)")
        #expect(try folder.contents().isEmpty)
    }

    @Test("the progress line shows steps and remaining time, and is erased at the end")
    func progress() async throws {
        let folder = try TemporaryFolder()
        let (process, terminal) = try Self.start(
            ["generate", "a cat", "--threads", "1"] + Program.small, in: folder)
        terminal.read(seconds: 60) { _ in false }
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        #expect(terminal.text.contains("Loading 100 %"))
        #expect(
            terminal.text.contains(/Sampling █{12}░{12} 1\/2  [\d.]+ s a step, [\d.]+ s left/),
            "\(terminal.text)")
        #expect(terminal.step == 2)
        let last = terminal.text.split(separator: "\r").last ?? ""
        #expect(last.allSatisfy { $0 == " " }, "\(terminal.text)")
    }

    @Test("quiet draws no progress line")
    func quiet() async throws {
        let folder = try TemporaryFolder()
        let (process, terminal) = try Self.start(
            ["generate", "a cat", "--threads", "1", "--quiet"] + Program.small, in: folder)
        terminal.read(seconds: 60) { _ in false }
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        #expect(terminal.text.isEmpty)
    }
}
