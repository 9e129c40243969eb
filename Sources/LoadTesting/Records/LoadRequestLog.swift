// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Synchronization

/// Appends records to `requests.jsonl`, so that a crash leaves whole lines behind.
package final class LoadRequestLog: Sendable {
    private let handle: FileHandle
    private let file: URL
    private let pending = Mutex(Data())

    /// Makes the file, or goes on at its end.
    package init(_ folder: LevelFolder) throws {
        file = folder.requestsFile
        do {
            try FileManager.default.createDirectory(
                at: folder.url, withIntermediateDirectories: true)
            if !FileManager.default.fileExists(atPath: file.path) {
                try Data().write(to: file)
            }
            handle = try FileHandle(forWritingTo: file)
            try handle.seekToEnd()
        } catch {
            throw ResultError(
                "Cannot write \(file.path): \(error.localizedDescription); choose a folder that"
                    + " can be written with --out.")
        }
    }

    /// Takes a record; it is in the file after the next `flush`.
    package func append(_ record: LoadRequestRecord) throws {
        var line = try RecordCoding.line(record)
        line.append(UInt8(ascii: "\n"))
        pending.withLock { $0.append(line) }
    }

    /// Hands all lines to the system; called once a second.
    package func flush() throws {
        let lines = pending.withLock { pending in
            defer { pending = Data() }
            return pending
        }
        guard !lines.isEmpty else { return }
        do {
            try handle.write(contentsOf: lines)
        } catch {
            throw ResultError("Cannot write \(file.path): \(error.localizedDescription).")
        }
    }

    package func close() throws {
        try flush()
        try handle.close()
    }
}
