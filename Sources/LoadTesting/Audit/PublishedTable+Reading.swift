// Part of Inkstone. Licence: see LICENSE.

public import Foundation

extension PublishedTable {
    /// Reads a table from Markdown, CSV or JSON, by the file's extension.
    ///
    /// Text before and after a Markdown table, and comment lines (`#`) of a CSV file, are searched
    /// for claims. JSON is an object with `title` and `rows`, an array of objects whose names are
    /// column titles.
    ///
    /// - Throws: `ResultError` that names the missing or invalid column or cell.
    public init(contentsOf file: URL) throws {
        guard let text = try? String(contentsOf: file, encoding: .utf8) else {
            throw ResultError(
                "Cannot read \(file.path): expected a table in Markdown, CSV or JSON.")
        }
        switch file.pathExtension.lowercased() {
        case "md", "markdown": try self.init(markdown: text)
        case "csv": try self.init(csv: text)
        case "json": try self.init(json: text)
        default:
            throw ResultError(
                "\(file.lastPathComponent) has no known extension; expected .md, .csv or .json.")
        }
    }

    /// Reads a table from Markdown.
    public init(markdown text: String) throws {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let isRow = { (line: Substring) in line.drop(while: \.isWhitespace).first == "|" }
        let cells = lines.filter(isRow).map { line in
            line.trimmingCharacters(in: .whitespaces)
                .trimmingCharacters(in: CharacterSet(charactersIn: "|"))
                .split(separator: "|", omittingEmptySubsequences: false)
                .map { $0.trimmingCharacters(in: .whitespaces) }
        }
        let isRule = { (row: [String]) in
            row.allSatisfy { !$0.isEmpty && $0.allSatisfy { "-: ".contains($0) } }
        }
        try self.init(
            grid: cells.filter { !isRule($0) },
            prose: lines.filter { !isRow($0) }.joined(separator: "\n"))
    }

    /// Reads a table from CSV.
    public init(csv text: String) throws {
        let lines = text.split(whereSeparator: \.isNewline)
        let isComment = { (line: Substring) in line.hasPrefix("#") }
        try self.init(
            grid: lines.filter { !isComment($0) }.map { line in
                line.split(separator: ",", omittingEmptySubsequences: false).map {
                    $0.trimmingCharacters(in: CharacterSet(charactersIn: " \""))
                }
            },
            prose: lines.filter(isComment).map { $0.dropFirst() }.joined(separator: "\n"))
    }

    /// Reads a table from JSON.
    public init(json text: String) throws {
        guard
            let object = try? JSONSerialization.jsonObject(with: Data(text.utf8))
                as? [String: Any],
            let rows = object["rows"] as? [[String: Any]], let first = rows.first
        else {
            throw ResultError(
                "Expected a JSON object with \"rows\", an array of objects, found something else.")
        }
        let names = first.keys.sorted()
        let prose = object.filter { $0.key != "rows" }.sorted { $0.key < $1.key }
            .map { "\($0.key): \($0.value)" }.joined(separator: "\n")
        try self.init(
            grid: [names] + rows.map { row in names.map { "\(row[$0] ?? "")" } }, prose: prose)
    }

    /// The meaning of a column, by words of its title; the first match applies.
    private enum Column: CaseIterable {
        case firstPreview, errors, memory, bytes, endToEnd, throughput, users

        var words: [String] {
            switch self {
            case .firstPreview: ["ttft", "ttfp", "first", "首"]
            case .errors: ["error", "fail", "错误", "失败"]
            case .memory: ["vram", "memory", "mem", "显存", "内存"]
            case .bytes: ["bytes"]
            case .endToEnd: ["latency", "e2e", "end-to-end", "mean", "延迟"]
            case .throughput: ["qps", "rps", "throughput", "img/s", "images/s", "req/s", "吞吐"]
            case .users: ["concurren", "users", "clients", "并发"]
            }
        }
    }

    private init(grid: [[String]], prose: String) throws {
        guard let titles = grid.first, grid.count > 1 else {
            throw ResultError(
                "Expected a table with a title row and at least one level, found none.")
        }
        var places: [Column: Int] = [:]
        for (index, title) in titles.enumerated() {
            let plain = title.lowercased()
            let exact: [String: Column] = ["n": .users, "x": .throughput, "r": .endToEnd]
            let column =
                exact[plain]
                ?? Column.allCases.first { $0.words.contains { plain.contains($0) } }
            if let column, places[column] == nil { places[column] = index }
        }
        func required(_ column: Column, _ name: String) throws -> Int {
            guard let place = places[column] else {
                throw ResultError(
                    "The table has no column for \(name); found \(titles.joined(separator: ", ")).")
            }
            return place
        }
        let users = try required(.users, "users (concurrency)")
        let throughput = try required(.throughput, "throughput (QPS)")
        let endToEnd = try required(.endToEnd, "mean latency")
        let factors = try [endToEnd, places[.firstPreview]].map { place in
            try place.map { try Self.seconds(perUnitOf: titles[$0]) } ?? 1
        }
        let rows = try grid.dropFirst().map { cells in
            func number(_ place: Int?) throws -> Printed? {
                guard let place, cells.indices.contains(place) else { return nil }
                let text = cells[place].trimmingCharacters(in: CharacterSet(charactersIn: " %*"))
                if text.isEmpty || text == "-" { return nil }
                guard let printed = Printed(text) else {
                    throw ResultError(
                        "Expected a number in column \(titles[place]), found \(cells[place]).")
                }
                return printed
            }
            guard let n = try number(users), n.value >= 1, n.value == n.value.rounded(),
                n.value < 1e9, let x = try number(throughput), let r = try number(endToEnd),
                r.value > 0
            else {
                throw ResultError(
                    "Expected users, throughput and a positive latency in every row, found "
                        + "\(cells.joined(separator: " | ")).")
            }
            return Row(
                users: Int(n.value), throughput: x, endToEnd: r.value * factors[0],
                firstPreview: try number(places[.firstPreview]).map { $0.value * factors[1] },
                errors: try number(places[.errors]), memory: try number(places[.memory])?.value,
                answerBytes: try number(places[.bytes])?.value)
        }
        self.init(rows: rows)
        columns = titles
        readClaims(prose)
    }

    private static func seconds(perUnitOf title: String) throws -> Double {
        let words = title.lowercased().split { !$0.isLetter }
        if words.contains("ms") || words.contains("milliseconds") { return 1e-3 }
        if words.contains("s") || words.contains("seconds") { return 1 }
        throw ResultError(
            "Column \(title) has no unit; name it ms or s, for instance \"mean latency (ms)\".")
    }

    /// Searches prose for a throughput, a deviation and a hold.
    private mutating func readClaims(_ prose: String) {
        for match in prose.matches(
            of: /(?i)\b(?:QPS|throughput|img\/s|req\/s)\D{0,12}?(\d+(?:\.\d+)?)/)
        {
            if let value = Double(match.output.1) {
                claims.append(Claim(value: value, text: String(match.output.0)))
            }
        }
        if let match = prose.firstMatch(of: /(?i)deviat\w*\D{0,20}?(\d+(?:\.\d+)?) ?%/) {
            claimedDeviation = Double(match.output.1).map { $0 / 100 }
        }
        if let match = prose.firstMatch(
            of: /(?i)\bh[eo]ld\b[^.\n]{0,40}?\b(\d+|one|two|three|five|ten)[ -]?(s|m)(?:ec|in|\b)/)
        {
            let words = ["one": 1.0, "two": 2, "three": 3, "five": 5, "ten": 10]
            let number = match.output.1.lowercased()
            let unit = match.output.2.lowercased() == "m" ? 60.0 : 1
            hold = (Double(number) ?? words[number]).map { $0 * unit }
        }
    }
}
