// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// A started program, waited for with `waitpid`.
///
/// Foundation's `Process` learns of a child's end through a socket and a run loop; with dozens of
/// children started and ending at once, one end in some thousand was never told.
struct ChildProcess: Sendable {
    let identifier: pid_t

    /// Starts a program with nothing on standard input; output goes nowhere when it is `nil`.
    init(
        _ program: URL, _ arguments: [String], environment: [String: String], in folder: URL,
        output: Int32?, errors: Int32
    ) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        if let output {
            posix_spawn_file_actions_adddup2(&actions, output, 1)
        } else {
            posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        }
        posix_spawn_file_actions_adddup2(&actions, errors, 2)
        // Signals as a shell would leave them: the test runner may block or ignore some.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        let flags = Int32(POSIX_SPAWN_SETSIGMASK) | Int32(POSIX_SPAWN_SETSIGDEF)
        posix_spawnattr_setflags(&attributes, Int16(flags))

        // The call that changes a child's folder is hidden from Swift; the shell has it, and becomes
        // the program.
        let shell = ["/bin/sh", "-c", #"cd -- "$0" && exec "$@""#, folder.path, program.path]
        let words = (shell + arguments).map { strdup($0) } + [nil]
        let variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { (words + variables).forEach { free($0) } }
        var identifier = pid_t()
        let failure = posix_spawn(
            &identifier, shell[0], &actions, &attributes, words, variables)
        guard failure == 0 else {
            throw POSIXError(POSIXErrorCode(rawValue: failure) ?? .ENOEXEC)
        }
        self.identifier = identifier
    }

    /// Blocks until the program ends; its exit status, or -1 when a signal ended it.
    func wait() -> Int32 {
        var status: Int32 = 0
        while waitpid(identifier, &status, 0) < 0, errno == EINTR {}
        // WIFEXITED and WEXITSTATUS are macros that Swift does not see.
        return status & 0x7f == 0 ? (status >> 8) & 0xff : -1
    }

    /// The end of the program, awaited on a thread of its own.
    var end: Int32 {
        get async {
            await withCheckedContinuation { continuation in
                Thread.detachNewThread { continuation.resume(returning: self.wait()) }
            }
        }
    }

    func signal(_ number: Int32) { kill(identifier, number) }
}
