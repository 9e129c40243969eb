// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Synchronization

/// Standard output for the messages of a protocol, a line each.
///
/// What else the program prints goes to standard error: one stray line would end the conversation.
final class MessageOutput: Sendable {
    private let file: Mutex<FileHandle>

    /// Takes standard output over.
    ///
    /// - Throws: `CommandError` when the process may open no more files.
    init() throws(CommandError) {
        let descriptor = dup(STDOUT_FILENO)
        guard descriptor >= 0, dup2(STDERR_FILENO, STDOUT_FILENO) >= 0 else {
            throw CommandError(
                .failed, "Standard output cannot be used: \(String(cString: strerror(errno))).")
        }
        file = Mutex(FileHandle(fileDescriptor: descriptor, closeOnDealloc: true))
    }

    /// Writes a message, which has no line break.
    func write(_ message: some Sequence<UInt8>) {
        let line = Data(message) + [UInt8(ascii: "\n")]
        // An agent that has gone reads nothing; the end of standard input follows.
        file.withLock { try? $0.write(contentsOf: line) }
    }
}
