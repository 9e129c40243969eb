// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// The cells of a table that was found in a text, and the text around it.
struct TableGrid: Equatable {
    /// Rows of cells, the titles first.
    var rows: [[String]]
    /// The text before and after the table.
    var prose: String

    /// Finds everything in a text that can be a table, the most certain forms first.
    static func all(in text: String) -> [TableGrid] {
        let text = text.replacing("\r\n", with: "\n").replacing("\r", with: "\n")
        if let grids = json(text) { return grids }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        // A line that starts with # is a heading or a comment, or else the titles of columns.
        let withTitles = lines.map { $0.hasPrefix("#") ? String($0.dropFirst()) : $0 }
        var found = html(text)
        for (lines, skipsComments) in [(lines, true), (withTitles, false)] {
            for form in forms {
                for grid in grids(lines, form, skipsComments) where !found.contains(grid) {
                    found.append(grid)
                }
            }
        }
        return found
    }

    /// The grid with rows and columns exchanged.
    var transposed: TableGrid {
        let width = rows.map(\.count).max() ?? 0
        return TableGrid(
            rows: (0..<width).map { place in
                rows.map { $0.indices.contains(place) ? $0[place] : "" }
            }, prose: prose)
    }

    /// A way to separate the cells of a line.
    private struct Form {
        /// The cells; `nil` for a line that is not part of such a table.
        var cells: @Sendable (String) -> [String]?
        /// Whether rows can lack cells.
        var isRagged = false
    }

    private static let forms = [
        Form(cells: bars, isRagged: true), Form(cells: { split($0, by: "\t") }),
        Form(cells: { fields($0, by: ";") }), Form(cells: { fields($0, by: ",") }),
        Form(cells: columns), Form(cells: words),
    ]

    /// Finds runs of lines with the same number of cells.
    private static func grids(
        _ lines: [String], _ form: Form, _ skipsComments: Bool
    ) -> [TableGrid] {
        var result: [TableGrid] = []
        var rows: [[String]] = []
        var used: Set<Int> = []
        func end() {
            if rows.count > 1 {
                let prose = lines.indices.filter { !used.contains($0) }.map { lines[$0] }
                result.append(TableGrid(rows: rows, prose: prose.joined(separator: "\n")))
            }
            rows = []
            used = []
        }
        for (index, line) in lines.enumerated() {
            if isRule(line) {
                // The titles are directly above the rule; text with a bar before them is prose.
                while let first = rows.first, let last = rows.last, first.count != last.count {
                    rows.removeFirst()
                    used.min().map { _ = used.remove($0) }
                }
                if !rows.isEmpty { used.insert(index) }
                continue
            }
            if skipsComments, line.hasPrefix("#") { continue }
            guard let cells = form.cells(line) else {
                end()
                continue
            }
            if let first = rows.first, first.count != cells.count, !form.isRagged { end() }
            rows.append(cells)
            used.insert(index)
        }
        end()
        return result
    }

    /// Whether a line only separates rows: dashes, bars and the corners of drawn tables.
    private static func isRule(_ line: String) -> Bool {
        var dashes = 0
        for scalar in line.unicodeScalars {
            switch scalar {
            case "-", "=", "─", "━", "═": dashes += 1
            case "|", "+", ":", " ", "\t": continue
            case "\u{2500}"..."\u{257F}": continue
            default: return false
            }
        }
        return dashes >= 2
    }

    /// Cells between bars, with or without outer bars.
    @Sendable private static func bars(_ line: String) -> [String]? {
        var line = line.replacing("\\|", with: "\u{1}")
        for bar in ["│", "┃", "║", "｜"] { line = line.replacing(bar, with: "|") }
        line = line.trimmingCharacters(in: .whitespaces)
        guard line.contains("|") else { return nil }
        if line.hasPrefix("|") { line.removeFirst() }
        if line.hasSuffix("|") { line.removeLast() }
        let cells = line.split(separator: "|", omittingEmptySubsequences: false).map {
            $0.replacing("\u{1}", with: "|").trimmingCharacters(in: .whitespaces)
        }
        return cells.count > 1 ? cells : nil
    }

    private static func split(_ line: String, by separator: Character) -> [String]? {
        let cells = line.split(separator: separator, omittingEmptySubsequences: false)
            .map { $0.trimmingCharacters(in: .whitespaces) }
        return cells.count > 2 ? cells : nil
    }

    /// Fields of CSV; quoted fields can contain the separator.
    private static func fields(_ line: String, by separator: Character) -> [String]? {
        guard line.contains(separator) else { return nil }
        var cells: [String] = []
        var cell = ""
        var isQuoted = false
        for character in line {
            if character == "\"" {
                isQuoted.toggle()
            } else if character == separator, !isQuoted {
                cells.append(cell.trimmingCharacters(in: .whitespaces))
                cell = ""
            } else {
                cell.append(character)
            }
        }
        cells.append(cell.trimmingCharacters(in: .whitespaces))
        return cells.count > 2 ? cells : nil
    }

    /// Columns with two spaces or more between them.
    @Sendable private static func columns(_ line: String) -> [String]? {
        let cells = TableText.columns(line)
        return cells.count > 2 ? cells : nil
    }

    /// Words with one space between them; a unit belongs to the number before it.
    @Sendable private static func words(_ line: String) -> [String]? {
        var cells: [String] = []
        for word in line.split(whereSeparator: \.isWhitespace).map(String.init) {
            if let last = cells.last, last.last?.isNumber == true, isUnit(word) {
                cells[cells.count - 1] += " " + word
            } else if word.hasPrefix("("), word.hasSuffix(")"), !cells.isEmpty {
                cells[cells.count - 1] += " " + word
            } else {
                cells.append(word)
            }
        }
        return cells.count > 2 ? cells : nil
    }

    private static func isUnit(_ word: String) -> Bool {
        ColumnMeaning.allCases.contains { TableUnit(word, of: $0) != nil }
    }
}

extension TableText {
    /// Splits a line where two spaces or more, or a wide one, separate its columns.
    static func columns(_ line: String) -> [String] {
        line.replacing("\u{3000}", with: "  ").replacing("\t", with: "  ")
            .split(separator: /\s{2,}/).map { $0.trimmingCharacters(in: .whitespaces) }
            .filter { !$0.isEmpty }
    }
}
