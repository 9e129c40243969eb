// Part of Inkstone. Licence: see LICENSE.

public import Foundation

extension PublishedTable {
    /// The largest text that is read, in bytes.
    static let maximumSize = 8 << 20

    /// Reads a table from a file; see ``init(text:columns:steps:)``.
    ///
    /// - Throws: `ResultError` that names the missing or invalid column or cell.
    public init(contentsOf file: URL, columns: [ColumnChoice] = [], steps: Int? = nil) throws {
        let size = try? file.resourceValues(forKeys: [.fileSizeKey]).fileSize
        if let size, size > Self.maximumSize {
            throw ResultError(
                "\(file.path) has \(size) bytes; expected a page of at most \(Self.maximumSize).")
        }
        guard let text = try? String(contentsOf: file, encoding: .utf8) else {
            throw ResultError(
                "Cannot read \(file.path): expected a text in UTF-8 with a table.")
        }
        try self.init(text: text, columns: columns, steps: steps)
    }

    /// Reads the first table of a text that has users, throughput and latency.
    ///
    /// The table is in Markdown, HTML, CSV with commas or semicolons, JSON, or text with tabs, bars or
    /// spaces between its columns. Levels are rows or columns. The text around it is searched for claims.
    ///
    /// - Parameters:
    ///   - text: the page.
    ///   - columns: meanings of columns whose titles do not say them.
    ///   - steps: steps of an image, for throughputs in steps a second.
    /// - Throws: `ResultError` that names the missing or invalid column or cell.
    public init(text: String, columns: [ColumnChoice] = [], steps: Int? = nil) throws {
        var best: (known: Int, error: any Error)?
        let grids = TableGrid.all(in: text)
        for grid in grids + grids.map(\.transposed) {
            var reader = TableReader(grid: grid, choices: columns, steps: steps)
            do {
                self = try reader.table()
                return
            } catch {
                if reader.known > best?.known ?? -1 { best = (reader.known, error) }
            }
        }
        throw best?.error
            ?? ResultError("Expected a table with a title row and at least one level, found none.")
    }
}

/// Reads the levels of a grid.
struct TableReader {
    private let choices: [ColumnChoice]
    private let prose: String
    private let titles: [ColumnTitle]
    private let body: [[String]]
    private let style: NumberStyle
    /// Steps of an image, from the caller or the text.
    private let steps: Int?
    private var places: [ColumnMeaning: Int] = [:]
    private var units: [ColumnMeaning: TableUnit] = [:]
    private var omissions: [PublishedTable.Omission] = []

    /// The number of columns with a meaning: how much of a grid was understood.
    var known: Int { places.count }

    init(grid: TableGrid, choices: [ColumnChoice], steps: Int?) {
        self.choices = choices
        prose = grid.prose
        // Titles can have several rows: those before the first row with a number of users.
        let first = grid.rows.firstIndex {
            $0.contains { TableCell($0, style: NumberStyle()) != nil }
        }
        let height = max(1, min(first ?? 1, 3))
        let width = grid.rows.first?.count ?? 0
        titles = (0..<width).map { place in
            var parts: [String] = []
            for row in grid.rows.prefix(height) where row.indices.contains(place) {
                if !row[place].isEmpty, parts.last != row[place] { parts.append(row[place]) }
            }
            return ColumnTitle(parts.joined(separator: " "))
        }
        body = Array(grid.rows.dropFirst(height))
        style = NumberStyle(of: body.flatMap(\.self))
        let written = prose.matches(of: /\b(\d{1,3}) ?(?:steps?\b|步)/).compactMap {
            Int($0.output.1)
        }
        self.steps = steps ?? (Set(written).count == 1 ? written[0] : nil)
    }

    /// Reads all rows and the claims around them.
    mutating func table() throws -> PublishedTable {
        guard !body.isEmpty else {
            throw ResultError(
                "Expected a table with a title row and at least one level, found none.")
        }
        try choosePlaces()
        try chooseUnits()
        var rows: [PublishedTable.Row] = []
        for cells in body {
            if let row = try row(cells) { rows.append(row) }
        }
        guard !rows.isEmpty else {
            throw ResultError("No row of the table has users, throughput and a latency.")
        }
        var table = PublishedTable(rows: rows)
        table.steps = steps
        table.columns = titles.map(\.printed)
        table.omissions = omissions
        table.hasMedians = places[.meanLatency] == nil
        table.readClaims(prose)
        return table
    }

    // MARK: Columns

    /// Finds the column of each meaning: the caller's choice, or the title that says it best.
    private mutating func choosePlaces() throws {
        let key = { (text: String) in TableText.plain(text).lowercased().filter { !$0.isWhitespace }
        }
        var chosen: Set<Int> = []
        for choice in choices {
            guard let place = titles.firstIndex(where: { key($0.printed) == key(choice.title) })
            else {
                throw ResultError(
                    "The table has no column \(choice.title); found "
                        + titles.map(\.printed).joined(separator: ", ") + ".")
            }
            chosen.insert(place)
            if choice.meaning != .ignored { places[choice.meaning] = place }
        }
        var ranks: [ColumnMeaning: Int] = [:]
        for (place, title) in titles.enumerated() where !chosen.contains(place) {
            guard let (meaning, rank) = title.meaning ?? meaningOfCells(place) else { continue }
            if let taken = places[meaning], chosen.contains(taken) { continue }
            if rank > ranks[meaning] ?? -1 {
                places[meaning] = place
                ranks[meaning] = rank
            }
        }
        if places[.meanLatency] != nil { places[.medianLatency] = nil }
        for meaning in [ColumnMeaning.users, .throughput] where places[meaning] == nil {
            throw missing(meaning == .users ? "users (concurrency)" : "throughput (QPS)")
        }
        guard latency != nil else { throw missing("mean latency") }
        for (place, title) in titles.enumerated() where !places.values.contains(place) {
            omit(title.printed, "its title has no meaning for the audit")
        }
    }

    /// The meaning of a column whose title says nothing, but whose cells all have the unit of a rate.
    private func meaningOfCells(_ place: Int) -> (ColumnMeaning, rank: Int)? {
        let cells = body.compactMap { row in
            row.indices.contains(place) ? TableCell(row[place], style: style) : nil
        }
        let areRates = cells.allSatisfy { TableUnit($0.unit, of: .throughput) != nil }
        return areRates && !cells.isEmpty ? (.throughput, 0) : nil
    }

    private func missing(_ name: String) -> ResultError {
        ResultError(
            "The table has no column for \(name); found "
                + titles.map(\.printed).joined(separator: ", ")
                + "; name one with --column TITLE=MEANING.")
    }

    private mutating func omit(_ name: String, _ reason: String) {
        guard !name.isEmpty else { return }
        omissions.append(PublishedTable.Omission(name: name, reason: reason))
    }

    /// The column of the mean latency, or of the median without one.
    private var latency: ColumnMeaning? {
        [.meanLatency, .medianLatency].first { places[$0] != nil }
    }

    /// Finds the unit of the numbers that have none.
    private mutating func chooseUnits() throws {
        for (meaning, place) in places.sorted(by: { $0.value < $1.value }) {
            let title = titles[place]
            let chosen = choices.first { $0.meaning == meaning }?.unit
            if let unit = chosen.flatMap({ TableUnit($0, of: meaning) })
                ?? TableUnit(title: title, of: meaning)
            {
                units[meaning] = unit
                continue
            }
            let bare = body.filter { cells in
                guard cells.indices.contains(place),
                    let cell = TableCell(cells[place], style: style)
                else { return false }
                return TableUnit(cell.unit, of: meaning) == nil
            }
            guard !bare.isEmpty else { continue }
            switch meaning {
            case .users, .steps, .ignored: continue
            case .throughput: units[meaning] = .factor(1)
            case .memory: units[meaning] = .factor(1)
            case .bytes: units[meaning] = .factor(1)
            case .errors, .success:
                let most = bare.compactMap { TableCell($0[place], style: style)?.number.value }
                    .max()
                let isRate =
                    title.plain.contains("率") || title.plain.contains("rate")
                    || title.plain.contains("ratio")
                if most == 0 || isRate && (most ?? 0) > 1 {
                    units[meaning] = .factor(1)
                } else {
                    places[meaning] = nil
                    omit(title.printed, "percent, share or count? name it with --column")
                }
            case .meanLatency, .medianLatency, .firstPreview:
                throw ResultError(
                    "Column \(title.printed) has no unit; name it ms or s in the title or the cells, or"
                        + " with --column '\(title.printed)=\(meaning.rawValue):ms'.")
            }
        }
    }

    // MARK: Rows

    /// Reads a level; `nil` for a row that has no measurement.
    private mutating func row(_ cells: [String]) throws -> PublishedTable.Row? {
        guard let latency else { return nil }
        let required = [ColumnMeaning.users, .throughput, latency].compactMap { places[$0] }
        for place in required {
            let text = cells.indices.contains(place) ? cells[place] : ""
            if TableCell.isMissing(text) || TableCell.isFailure(text) {
                omit(cells.joined(separator: " | "), "the row has no measurement")
                return nil
            }
        }
        guard let n = try number(.users, cells), n.value >= 1, n.value == n.value.rounded(),
            n.value < 1e9, let x = try number(.throughput, cells),
            let r = try number(latency, cells), r.value > 0
        else {
            throw ResultError(
                "Expected users, throughput and a positive latency in every row, found "
                    + "\(cells.joined(separator: " | ")).")
        }
        var errors = try number(.errors, cells)
        if errors == nil, let success = try number(.success, cells) {
            errors = success
            errors?.value = 100 - success.value
        }
        return PublishedTable.Row(
            users: Int(n.value), throughput: x, endToEnd: r.value, endToEndRounding: r.rounding,
            firstPreview: try number(.firstPreview, cells)?.value, errors: errors,
            memory: try number(.memory, cells)?.value,
            answerBytes: try number(.bytes, cells)?.value)
    }

    /// The number of a cell in the base unit; `nil` without one.
    private func number(
        _ meaning: ColumnMeaning, _ cells: [String]
    ) throws -> PublishedTable.Printed? {
        guard let place = places[meaning], cells.indices.contains(place) else { return nil }
        let text = cells[place]
        if TableCell.isMissing(text) || TableCell.isFailure(text) { return nil }
        guard let cell = TableCell(text, style: style) else {
            throw ResultError(
                "Expected a number in column \(titles[place].printed), found \(text).")
        }
        if cell.isLimit { return nil }
        if meaning == .users || meaning == .steps { return cell.number }
        let isBare = !cell.unit.contains(where: \.isLetter)
        guard let unit = TableUnit(cell.unit, of: meaning) ?? (isBare ? units[meaning] : nil) else {
            throw ResultError(
                "Cell \(text) of column \(titles[place].printed) has an unknown unit; expected for"
                    + " instance \(meaning.exampleUnits).")
        }
        let ownSteps = unit.needsSteps ? try number(.steps, cells).map { Int($0.value) } : nil
        guard let value = unit.base(cell.number.value, steps: ownSteps ?? steps) else {
            throw ResultError(
                unit.needsSteps
                    ? "Column \(titles[place].printed) counts steps; set the steps of an image with"
                        + " --steps."
                    : "Expected a number above 0 in column \(titles[place].printed), found \(text)."
            )
        }
        return cell.number.converted(to: value)
    }
}
