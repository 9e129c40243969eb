// Part of Inkstone. Licence: see LICENSE.

/// One line for every request, written after its last byte.
public final class AccessLog: Sendable {
    /// How a line looks.
    public enum Format: String, Sendable, CaseIterable {
        /// As nginx writes `combined`, then `name=value` pairs.
        case combined
        /// One JSON object.
        case json
    }

    private let file: LogFile
    private let format: Format

    /// Appends to a file; `-` is standard output.
    ///
    /// - Throws: `LogFileError` when it cannot be opened.
    public init(path: String, format: Format = .combined) throws(LogFileError) {
        file = try LogFile(path: path)
        self.format = format
    }

    /// Whether it writes to a file that can be moved and reopened.
    package var isFile: Bool { file.path != nil }

    /// Lines that could not be written.
    package var lostLines: Int { file.lostLines }

    /// Writes the line of a request.
    package func write(_ entry: AccessLogEntry) {
        switch format {
        case .combined: file.write(entry.combined)
        case .json: file.write(entry.json)
        }
    }

    /// Reopens the file under its name.
    ///
    /// - Throws: `LogFileError`; lines then go on to the old file.
    package func reopen() throws(LogFileError) { try file.reopen() }
}
