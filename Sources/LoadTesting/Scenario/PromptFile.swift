// Part of Inkstone. Licence: see LICENSE.

package import Foundation

/// A file with prompts: text, JSON lines, JSON, CSV or TSV, such as those of DrawBench and VBench.
public struct PromptFile: Sendable, Equatable {
    /// Path, relative to the scenario file.
    public var file: String
    /// Name of the column or member with the prompt; `nil` for one of the usual names.
    public var column: String?

    /// Refers to a file.
    public init(file: String, column: String? = nil) {
        self.file = file
        self.column = column
    }

    /// Usual names of the prompt, without case.
    static let names = ["prompt", "prompts", "prompt_en", "text", "caption", "description"]
    /// Largest file in bytes.
    static let maximumSize = 64 << 20
    /// Largest number of prompts.
    static let maximumCount = 100_000

    /// Reads the prompts; empty ones are left out.
    ///
    /// - Throws: `ScenarioError` that names the file, the line, and what was expected.
    package func read(relativeTo folder: URL?) throws(ScenarioError) -> [String] {
        let url = URL(filePath: file, relativeTo: folder)
        let size = try? url.resourceValues(forKeys: [.fileSizeKey]).fileSize
        if let size, size > Self.maximumSize {
            throw ScenarioError(
                "\(file) has \(size) bytes; expected at most \(Self.maximumSize) bytes of prompts.")
        }
        guard let data = try? Data(contentsOf: url) else {
            throw ScenarioError(
                "request.prompts: \(url.path) cannot be read; expected a text, JSONL, JSON, CSV or TSV"
                    + " file.")
        }
        let text = String(decoding: data, as: UTF8.self)
        let prompts: [String]
        switch url.pathExtension.lowercased() {
        case "jsonl", "ndjson": prompts = try lines(text)
        case "json": prompts = try document(data)
        case "csv": prompts = try table(text, ",")
        case "tsv": prompts = try table(text, "\t")
        default: prompts = text.split(whereSeparator: \.isNewline).map(String.init)
        }
        let trimmed = prompts.map { $0.trimmingCharacters(in: .whitespacesAndNewlines) }
            .filter { !$0.isEmpty }
        guard !trimmed.isEmpty, trimmed.count <= Self.maximumCount else {
            throw ScenarioError(
                "\(file) has \(trimmed.count) prompts; expected 1 to \(Self.maximumCount).")
        }
        return trimmed
    }

    private func lines(_ text: String) throws(ScenarioError) -> [String] {
        var prompts: [String] = []
        for (index, line) in text.split(
            omittingEmptySubsequences: false, whereSeparator: \.isNewline
        ).enumerated() where !line.allSatisfy(\.isWhitespace) {
            guard
                let value = try? JSONSerialization.jsonObject(
                    with: Data(line.utf8), options: .fragmentsAllowed)
            else { throw ScenarioError("\(file), line \(index + 1): expected JSON.") }
            prompts.append(try prompt(value, "line \(index + 1)"))
        }
        return prompts
    }

    private func document(_ data: Data) throws(ScenarioError) -> [String] {
        guard let list = (try? JSONSerialization.jsonObject(with: data)) as? [Any] else {
            throw ScenarioError("\(file): expected a JSON array of prompts.")
        }
        var prompts: [String] = []
        for (index, value) in list.enumerated() {
            prompts.append(try prompt(value, "element \(index + 1)"))
        }
        return prompts
    }

    private func prompt(_ value: Any, _ place: String) throws(ScenarioError) -> String {
        if let text = value as? String { return text }
        let members = value as? [String: Any] ?? [:]
        guard let name = choose(members.keys.sorted()), let text = members[name] as? String else {
            throw ScenarioError("\(file), \(place): \(expected(members.keys.sorted())).")
        }
        return text
    }

    private func table(_ text: String, _ separator: Character) throws(ScenarioError) -> [String] {
        let rows = Self.rows(text, separator)
        guard let titles = rows.first else { return [] }
        guard let name = choose(titles), let place = titles.firstIndex(of: name) else {
            throw ScenarioError("\(file): \(expected(titles)).")
        }
        return rows.dropFirst().compactMap { $0.indices.contains(place) ? $0[place] : nil }
    }

    private func choose(_ titles: [String]) -> String? {
        if let column { return titles.first { $0 == column } }
        for name in Self.names {
            if let title = titles.first(where: { $0.lowercased() == name }) { return title }
        }
        return nil
    }

    private func expected(_ titles: [String]) -> String {
        "expected " + (column.map { "the column \($0)" } ?? "a column named prompt")
            + ", found \(titles.isEmpty ? "none" : titles.joined(separator: ", "));"
            + " name it with request.prompts.column"
    }

    /// The fields of CSV; quoted ones can contain separators, line breaks and doubled quotes.
    private static func rows(_ text: String, _ separator: Character) -> [[String]] {
        var rows: [[String]] = []
        var row: [String] = []
        var field = ""
        var isQuoted = false
        var last: Character?
        for character in text {
            if character == "\"" {
                // A doubled quote is one quote.
                if !isQuoted, last == "\"" { field.append(character) }
                isQuoted.toggle()
            } else if isQuoted {
                field.append(character)
            } else if character == separator {
                row.append(field)
                field = ""
            } else if character.isNewline {
                row.append(field)
                field = ""
                if row != [""] { rows.append(row) }
                row = []
            } else {
                field.append(character)
            }
            last = character
        }
        row.append(field)
        if row != [""] { rows.append(row) }
        return rows
    }
}

extension RequestMix {
    /// Reads the prompts of ``prompts``, relative to the folder of the scenario file.
    ///
    /// - Throws: `ScenarioError` for a file that cannot be read.
    package mutating func readPrompts(relativeTo folder: URL?) throws(ScenarioError) {
        guard let prompts else { return }
        keywords[Self.promptSlot] = try prompts.read(relativeTo: folder)
    }

    /// Name of the slot that a prompt of ``prompts`` fills.
    static let promptSlot = "prompt"
}
