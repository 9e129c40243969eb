// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Synchronization

/// A file that whole lines are appended to, or standard output.
///
/// A line that cannot be written, on a full disk for instance, is counted and left out: a log may
/// not stop the service.
package final class LogFile: Sendable {
    private struct State {
        var descriptor: Int32
        var lostLines = 0
    }

    /// Where the file is; `nil` for standard output.
    package let path: String?
    private let state: Mutex<State>

    /// Opens a file for appending; `-` is standard output.
    ///
    /// - Throws: `LogFileError` when it cannot be opened.
    package init(path: String) throws(LogFileError) {
        self.path = path == "-" ? nil : path
        state = Mutex(State(descriptor: path == "-" ? STDOUT_FILENO : try Self.open(path)))
    }

    deinit {
        guard path != nil else { return }
        state.withLock { _ = close($0.descriptor) }
    }

    /// Lines that could not be written.
    package var lostLines: Int { state.withLock { $0.lostLines } }

    /// Appends a line; the text contains no line break.
    package func write(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        state.withLock { state in
            var written = 0
            while written < bytes.count {
                // One call takes a line whole where it can; several programs may append.
                let count = bytes[written...].withUnsafeBytes { rest in
                    #if canImport(Glibc)
                        Glibc.write(state.descriptor, rest.baseAddress, rest.count)
                    #else
                        Foundation.write(state.descriptor, rest.baseAddress, rest.count)
                    #endif
                }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else {
                    state.lostLines += 1
                    return
                }
                written += count
            }
        }
    }

    /// Reopens the file under its name, after the old one was moved.
    ///
    /// - Throws: `LogFileError`; lines then go on to the old file.
    package func reopen() throws(LogFileError) {
        guard let path else { return }
        let fresh = try Self.open(path)
        let old = state.withLock { state in
            defer { state.descriptor = fresh }
            return state.descriptor
        }
        close(old)
    }

    /// Readable by its group: log collectors run as others.
    private static func open(_ path: String) throws(LogFileError) -> Int32 {
        #if canImport(Glibc)
            let descriptor = Glibc.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o640)
        #else
            let descriptor = Foundation.open(
                path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o640)
        #endif
        guard descriptor >= 0 else {
            throw LogFileError(path: path, reason: String(cString: strerror(errno)))
        }
        return descriptor
    }
}

/// A log file that cannot be opened.
public struct LogFileError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The file.
    public let path: String
    /// The system's words.
    public let reason: String

    /// One sentence: what happened and what to do.
    public var description: String {
        "The log file '\(path)' cannot be opened: \(reason); choose another file, or '-' for"
            + " standard output."
    }
}
