// Part of Inkstone. Licence: see LICENSE.

import Foundation

extension TableGrid {
    /// The tables of HTML; text outside them is prose.
    static func html(_ text: String) -> [TableGrid] {
        let tables = text.matches(of: /(?is)<table\b[^>]*>(.*?)<\/table\s*>/)
        return tables.map { table in
            let before = text[..<table.range.lowerBound]
            let after = text[table.range.upperBound...]
            let caption =
                table.output.1.firstMatch(of: /(?is)<caption\b[^>]*>(.*?)<\/caption\s*>/)
                .map { String($0.output.1) } ?? ""
            return TableGrid(
                rows: cells(ofHTML: String(table.output.1)),
                prose: TableText.withoutTags(before + "\n" + caption + "\n" + after))
        }
    }

    /// The cells of a table in HTML; a cell over several rows or columns is repeated.
    private static func cells(ofHTML table: String) -> [[String]] {
        var rows: [[String]] = []
        // The cells of earlier rows that continue: text and number of rows left, by column.
        var spans: [Int: (text: String, rows: Int)] = [:]
        for row in table.matches(of: /(?is)<tr\b[^>]*>(.*?)(?=<tr\b|<\/tr\s*>|<\/tbody|$)/) {
            var cells: [String] = []
            func continueSpans() {
                while let span = spans[cells.count] {
                    let place = cells.count
                    cells.append(span.text)
                    spans[place] = span.rows > 1 ? (span.text, span.rows - 1) : nil
                }
            }
            for cell in row.output.1.matches(
                of: /(?is)<t[hd]\b([^>]*)>(.*?)(?=<t[hd]\b|<\/t[hd]\s*>|$)/)
            {
                continueSpans()
                let text = TableText.withoutTags(cell.output.2)
                    .split(whereSeparator: \.isWhitespace).joined(separator: " ")
                let width = span("colspan", cell.output.1)
                let height = span("rowspan", cell.output.1)
                for _ in 0..<width {
                    if height > 1 { spans[cells.count] = (text, height - 1) }
                    cells.append(text)
                }
            }
            continueSpans()
            if !cells.isEmpty { rows.append(cells) }
        }
        return rows
    }

    /// The value of `colspan` or `rowspan` in the attributes of a cell; 1 without it.
    private static func span(_ name: String, _ attributes: Substring) -> Int {
        let match = attributes.lowercased().matches(of: /(\w+)\s*=\s*["']?(\d{1,3})/)
            .first { $0.output.1 == name }
        return match.flatMap { Int($0.output.2) }.map { min(max($0, 1), 100) } ?? 1
    }

    /// The tables of JSON: arrays of objects or of arrays, at the top or as members of an object.
    ///
    /// - Returns: `nil` when the text is not JSON.
    static func json(_ text: String) -> [TableGrid]? {
        guard let first = text.first(where: { !$0.isWhitespace }), first == "{" || first == "[",
            let value = try? JSONSerialization.jsonObject(with: Data(text.utf8))
        else { return nil }
        if let rows = value as? [Any] { return grid(rows, prose: "").map { [$0] } ?? [] }
        guard let object = value as? [String: Any] else { return [] }
        let isTable = { (value: Any) in (value as? [Any]).flatMap { grid($0, prose: "") } != nil }
        let prose = object.filter { !isTable($0.value) }.sorted { $0.key < $1.key }
            .map { "\($0.key): \($0.value)" }.joined(separator: "\n")
        return object.sorted { $0.key < $1.key }.compactMap { member in
            (member.value as? [Any]).flatMap { grid($0, prose: prose) }
        }
    }

    private static func grid(_ rows: [Any], prose: String) -> TableGrid? {
        if let rows = rows as? [[String: Any]], !rows.isEmpty {
            let names = Set(rows.flatMap(\.keys)).sorted()
            let cells = rows.map { row in
                names.map { row[$0].map { $0 is NSNull ? "" : "\($0)" } ?? "" }
            }
            return TableGrid(rows: [names] + cells, prose: prose)
        }
        if let rows = rows as? [[Any]], rows.count > 1 {
            return TableGrid(rows: rows.map { $0.map { "\($0)" } }, prose: prose)
        }
        return nil
    }
}
