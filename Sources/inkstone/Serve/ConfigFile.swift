// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Basics
import Foundation
import Yams

/// Options of `serve` in a YAML file.
///
/// The keys are the options' names without dashes, and values are validated like those of the command
/// line. A flag is `true` or `false`; an option that may be given several times is a list. Options of
/// the command line override those of the file.
enum ConfigFile {
    /// Bytes of the largest file, and values in it; each value is parsed as a command line of its own.
    private static let limits = (bytes: 64 << 10, values: 1000)

    /// The command line, with the options of its `--config` file.
    ///
    /// - Parameter arguments: words after the program's name.
    /// - Returns: all words to parse.
    /// - Throws: `CommandError` that names file and line.
    static func expand(_ arguments: [String]) throws -> [String] {
        guard arguments.first == "serve", let path = value(of: "--config", in: arguments) else {
            return arguments
        }
        let given = Set(
            arguments.dropFirst().filter { $0.hasPrefix("--") }.map {
                String($0.prefix { $0 != "=" })
            })
        let words = try settings(path).filter { !given.contains($0.option) }.flatMap(\.words)
        return ["serve"] + words + arguments.dropFirst()
    }

    /// An option with its words.
    private struct Setting {
        var option: String
        var words: [String]
    }

    private static func value(of option: String, in arguments: [String]) -> String? {
        for (index, word) in arguments.enumerated() {
            if word.hasPrefix(option + "=") { return String(word.dropFirst(option.count + 1)) }
            if word == option, index + 1 < arguments.count { return arguments[index + 1] }
        }
        return nil
    }

    private static func settings(_ path: String) throws -> [Setting] {
        let text: String
        do {
            text = try String(contentsOf: URL(filePath: path), encoding: .utf8)
        } catch {
            throw CommandError(.notFound, "The configuration '\(path)' \(Self.reason(path))")
        }
        guard text.utf8.count <= limits.bytes else {
            throw CommandError(
                .usage,
                "The configuration '\(path)' has \(text.utf8.count) bytes, expected at most"
                    + " \(limits.bytes).")
        }
        let node: Node?
        do {
            node = try Yams.compose(yaml: text)
        } catch {
            let place = "\(error)".split(separator: "\n").first.map(String.init) ?? "it is not YAML"
            throw CommandError(.usage, "The configuration '\(path)' is not valid YAML: \(place)")
        }
        // Only comments.
        guard let node, node.null == nil else { return [] }
        guard let mapping = node.mapping else {
            throw CommandError(
                .usage,
                "The configuration '\(path)' must hold lines such as 'port: 9997'.")
        }
        let count = mapping.reduce(0) { $0 + ($1.value.sequence?.count ?? 1) }
        guard count <= limits.values else {
            throw CommandError(
                .usage,
                "The configuration '\(path)' has \(count) values, expected at most"
                    + " \(limits.values).")
        }
        return try mapping.map { key, value in
            let name = key.string ?? ""
            do {
                return try setting(name, value)
            } catch {
                let line = key.mark?.line ?? 1
                throw CommandError(
                    .usage,
                    "Line \(line) of '\(path)': \(name): \(ServeCommand.message(for: error))")
            }
        }
    }

    /// Why a file cannot be read, and what to do.
    private static func reason(_ path: String) -> String {
        if let barrier = FileKind.barrier(before: path) {
            return "may not be read by this user: '\(barrier)' is closed to it (permission denied);"
                + " change its permissions."
        }
        return switch FileKind(path: path) {
        case .folder: "is a folder, expected a YAML file; check the path given to --config."
        case .file: "is not a text in UTF-8; save it as one."
        case .nothing, .hidden: "does not exist; check the path given to --config."
        }
    }

    private static func setting(_ name: String, _ value: Node) throws -> Setting {
        let option = "--" + name
        guard name != "config" else {
            throw ValidationError("a configuration cannot include another one.")
        }
        // A flag has no value; any other option requires one.
        if let flag = value.bool, (try? ServeCommand.parse([option])) != nil {
            return Setting(option: option, words: flag ? [option] : [])
        }
        let values = value.sequence.map(Array.init) ?? [value]
        let words = try values.map { value in
            guard let text = value.scalar?.string else {
                throw ValidationError("the value must be a text, a number, or a list of them.")
            }
            return "\(option)=\(text)"
        }
        // Each separately, so that the error is reported with its line.
        for word in words { _ = try ServeCommand.parse([word]) }
        return Setting(option: option, words: words)
    }
}
