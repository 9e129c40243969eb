// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Engine
import Foundation
import Parameters

/// Ends the program: help and version on standard output, errors as one line on standard error.
///
/// - Parameters:
///   - error: The error that ended `command`.
///   - command: The command whose help the parser prints.
func finish(_ error: any Error, of command: any ParsableCommand.Type) -> Never {
    let code = command.exitCode(for: error)
    // The parser throws help and version as errors.
    if code == .success { command.exit(withError: error) }
    let status = code == .validationFailure ? .usage : ExitStatus(error)
    complain(code == .validationFailure ? usageText(error, command) : text(error))
    Foundation.exit(status.rawValue)
}

/// Ends the program after an interruption.
func finishInterrupted() -> Never {
    complain(text(CancellationError()))
    Foundation.exit(ExitStatus.interrupted.rawValue)
}

/// Writes one line on standard error.
func complain(_ text: String) {
    let line = text.split(whereSeparator: \.isNewline).joined(separator: " ")
    FileHandle.standardError.write(Data("inkstone: \(line)\n".utf8))
}

/// The parser's message and its hint about `--help`, without the usage line.
private func usageText(_ error: any Error, _ command: any ParsableCommand.Type) -> String {
    let message = command.message(for: error)
    let hint = command.fullMessage(for: error).split(separator: "\n").last {
        $0.contains("--help")
    }
    return [sentence(message), hint.map { $0.trimmingCharacters(in: .whitespaces) }]
        .compactMap(\.self).joined(separator: " ")
}

private func text(_ error: any Error) -> String {
    switch error {
    case is CancellationError: "Interrupted."
    case let error as RequestError: sentence(optionName(in: error))
    default: sentence("\(error)")
    }
}

/// Replaces the API's name of a field by that of the option.
private func optionName(in error: RequestError) -> String {
    guard error.message.hasPrefix(error.field) else { return error.message }
    let rest = error.message.dropFirst(error.field.count)
    guard error.field != "prompt" else { return "The prompt\(rest)" }
    return "--\(error.field.map { $0 == "_" ? "-" : String($0) }.joined())\(rest)"
}

/// Capitalizes a message and terminates it with a full stop.
private func sentence(_ text: String) -> String {
    let end = text.last.map { ".!?".contains($0) } == true ? "" : "."
    return text.prefix(1).uppercased() + text.dropFirst() + end
}
