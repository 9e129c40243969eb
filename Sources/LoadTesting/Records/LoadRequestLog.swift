// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Synchronization

/// Appends records to `requests.jsonl`; a crash leaves complete lines.
package final class LoadRequestLog: Sendable {
    private let handle: FileHandle
    private let file: URL
    private let pending = Mutex(Data())

    /// Creates the file, or opens it at its end.
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
                "Cannot write \(file.path): \(ResultError.reason(of: error)); choose a location"
                    + " that can be written.")
        }
    }

    /// Appends a record to the buffer; the next `flush` writes it.
    package func append(_ record: LoadRequestRecord) throws {
        let line = try RecordCoding.lines([record])
        pending.withLock { $0.append(line) }
    }

    /// Writes the buffered lines; called once a second.
    package func flush() throws {
        let lines = pending.withLock { pending in
            defer { pending = Data() }
            return pending
        }
        guard !lines.isEmpty else { return }
        do {
            try handle.write(contentsOf: lines)
        } catch {
            throw ResultError("Cannot write \(file.path): \(ResultError.reason(of: error)).")
        }
    }

    /// Writes the buffered lines and closes the file.
    package func close() throws {
        try flush()
        try handle.close()
    }
}
