// Part of Inkstone. Licence: see LICENSE.

public import ArgumentParser
import Logging
public import Telemetry

/// Format of the program's log.
enum LogFormat: String, ExpressibleByArgument, CaseIterable {
    case text
    case json

    /// A logger that writes to standard error.
    var logger: Logger {
        switch self {
        case .text: Logger(label: "inkstone") { StreamLogHandler.standardError(label: $0) }
        case .json: Logger(label: "inkstone") { JSONLogHandler(label: $0) }
        }
    }
}

extension AccessLog.Format: ExpressibleByArgument {}
