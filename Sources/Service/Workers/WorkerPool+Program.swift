// Part of Inkstone. Licence: see LICENSE.

package import Foundation

extension WorkerPool {
    /// Runs a command of this program in a separate process, so that its memory and its end do not affect
    /// the service.
    ///
    /// A cancelled task ends the process.
    ///
    /// - Parameter words: the command, and its arguments.
    /// - Throws: `LaunchError` with the program's last words if it fails, `CancellationError`.
    package nonisolated func runProgram(_ words: [String]) async throws {
        try await Self.finish(try start(words))
    }

    /// Runs a command as above that writes its result to a file, whose path is its last argument.
    ///
    /// - Parameters:
    ///   - words: the command, and its arguments but the last one.
    ///   - limit: Time after which the process is ended.
    /// - Returns: the bytes of the file.
    /// - Throws: `ProgramFailure`, `CancellationError`.
    package nonisolated func output(
        of words: [String], within limit: Duration
    ) async throws -> Data {
        let folder = URL(filePath: sockets.path).appending(path: "output-\(UUID().uuidString)")
        let target = folder.appending(path: "file")
        defer { try? FileManager.default.removeItem(at: folder) }
        let process: WorkerProcess
        do {
            try FileManager.default.createDirectory(
                at: folder, withIntermediateDirectories: false,
                attributes: [.posixPermissions: 0o700])
            process = try start(words + [target.path])
        } catch { throw ProgramFailure.notStarted("\(error)") }
        do {
            try await within(limit) { try await Self.finish(process) }
            return try Data(contentsOf: target)
        } catch let error where !(error is CancellationError) {
            throw ProgramFailure.ended("\(error)")
        }
    }

    private nonisolated func start(_ words: [String]) throws -> WorkerProcess {
        try WorkerProcess(program: settings.program, arguments: words) { _ in }
    }

    /// Waits for the end of a process; a cancelled task ends it.
    private static func finish(_ process: WorkerProcess) async throws {
        let end = await withTaskCancellationHandler {
            await process.waitForEnd()
        } onCancel: {
            process.send(SIGTERM)
        }
        try Task.checkCancellation()
        guard end != .status(0) else { return }
        throw LaunchError(
            .failed, process.lastWords.map { $0.removingProgramName } ?? "it ended with \(end).")
    }
}

/// Why a command of this program has no result.
package enum ProgramFailure: Error, Sendable {
    /// The system started no process; it may do so later.
    case notStarted(String)
    /// The process took too long, crashed, or ended with an error; its last words.
    case ended(String)
}

extension String {
    /// Without the `inkstone: ` that messages of the command line begin with.
    fileprivate var removingProgramName: String {
        hasPrefix("inkstone: ") ? String(dropFirst("inkstone: ".count)) : self
    }
}
