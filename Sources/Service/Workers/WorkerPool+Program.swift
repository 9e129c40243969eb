// Part of Inkstone. Licence: see LICENSE.

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

extension WorkerPool {
    /// Runs a command of this program in a separate process, so that its memory and its end do not affect
    /// the service.
    ///
    /// A cancelled task ends the process.
    ///
    /// - Parameter words: the command, and its arguments.
    /// - Throws: `LaunchError` with the program's last words if it fails, `CancellationError`.
    package nonisolated func runProgram(_ words: [String]) async throws {
        let process = try WorkerProcess(program: settings.program, arguments: words) { _ in }
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

extension String {
    /// Without the `inkstone: ` that messages of the command line begin with.
    fileprivate var removingProgramName: String {
        hasPrefix("inkstone: ") ? String(dropFirst("inkstone: ".count)) : self
    }
}
