// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Synchronization

/// A command that scores images, for instance with CLIP or ImageReward.
///
/// The command reads one JSON object a line: `prompt`, `image`, and `reference` where there is one, both paths. For
/// each it prints one line: a number, or a JSON object of names and numbers.
public struct ExternalScorer: Sendable {
    /// An image to score.
    package struct Item: Encodable, Sendable {
        package var prompt: String
        /// Path of the image.
        package var image: String
        /// Path of the reference; absent for none.
        package var reference: String?

        package init(prompt: String, image: String, reference: String? = nil) {
            self.prompt = prompt
            self.image = image
            self.reference = reference
        }
    }

    /// The command, which a shell runs.
    public let command: String

    /// Creates a scorer.
    public init(command: String) { self.command = command }

    /// Scores images; the names and numbers of each, in order.
    ///
    /// - Throws: `ResultError` when the command fails, or prints anything else.
    package func scores(_ items: [Item]) throws -> [[String: Double]] {
        let input = try RecordCoding.lines(items)
        let (output, status, complaint) = try run(input)
        guard status == 0 else {
            let words = complaint.split(separator: "\n").last.map { ": \($0)" } ?? "."
            throw ResultError("The scorer '\(command)' ended with status \(status)\(words)")
        }
        let lines = output.split(separator: "\n").filter { !$0.allSatisfy(\.isWhitespace) }
        guard lines.count == items.count else {
            throw ResultError(
                "The scorer '\(command)' must print one line for each of the \(items.count) images, got"
                    + " \(lines.count).")
        }
        return try lines.enumerated().map { index, line in
            guard let values = Self.values(String(line)) else {
                throw ResultError(
                    "The scorer '\(command)', line \(index + 1), must be a number or a JSON object of names and"
                        + " numbers, got '\(line.prefix(80))'.")
            }
            return values
        }
    }

    /// Parses a line; `nil` when it is neither form.
    private static func values(_ line: String) -> [String: Double]? {
        let text = line.trimmingCharacters(in: .whitespaces)
        if let number = Double(text), number.isFinite { return ["score": number] }
        guard
            let object = try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        else { return nil }
        let values = object.compactMapValues { ($0 as? NSNumber)?.doubleValue }
        return values.count == object.count && !values.isEmpty ? values : nil
    }

    /// Runs the command with this input.
    private func run(_ input: Data) throws -> (output: String, status: Int32, complaint: String) {
        let process = Process()
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = ["-c", command]
        let (stdin, stdout, stderr) = (Pipe(), Pipe(), Pipe())
        process.standardInput = stdin
        process.standardOutput = stdout
        process.standardError = stderr
        // A command that ends early must not end this program with it.
        signal(SIGPIPE, SIG_IGN)
        do {
            try process.run()
        } catch {
            throw ResultError(
                "The scorer '\(command)' cannot be run: \(ResultError.reason(of: error)).")
        }
        let complaint = Mutex(Data())
        let writer = Thread { [handle = stdin.fileHandleForWriting] in
            try? handle.write(contentsOf: input)
            try? handle.close()
        }
        writer.start()
        let group = DispatchGroup()
        group.enter()
        Thread { [handle = stderr.fileHandleForReading] in
            let data = handle.readDataToEndOfFile()
            complaint.withLock { $0 = data }
            group.leave()
        }.start()
        let output = stdout.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        group.wait()
        return (
            String(decoding: output, as: UTF8.self), process.terminationStatus,
            String(decoding: complaint.withLock { $0 }, as: UTF8.self)
        )
    }
}
