// Part of Inkstone. Licence: see LICENSE.

import Foundation
package import Logging

/// Writes log lines as JSON objects on standard error: `time`, `level`, `label`, `message`, then
/// the metadata under its own names.
package struct JSONLogHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var logLevel: Logger.Level = .info
    private let label: String
    private let write: @Sendable (String) -> Void

    /// A handler for a logger of this label.
    package init(label: String) {
        self.init(label: label) { FileHandle.standardError.write(Data(($0 + "\n").utf8)) }
    }

    package init(label: String, write: @escaping @Sendable (String) -> Void) {
        self.label = label
        self.write = write
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var fields = metadata.merging(event.metadata ?? [:]) { $1 }.mapValues { "\($0)" }
        if let error = event.error { fields["error"] = "\(error)" }
        // The handler's own names take precedence, as readers of the log rely on them.
        fields["time"] = UTCTime(Date().timeIntervalSince1970).iso8601
        fields["level"] = event.level.rawValue
        fields["label"] = label
        fields["message"] = "\(event.message)"
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let line = try? encoder.encode(fields) else { return }
        write(String(decoding: line, as: UTF8.self))
    }
}
