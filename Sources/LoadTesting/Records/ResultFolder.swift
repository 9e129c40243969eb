// Part of Inkstone. Licence: see LICENSE.

public import Foundation

/// The result folder of a run: the locations of its files, and reading and writing them.
///
/// ```
/// manifest.json  scenario.yaml  plan.jsonl  summary.json  audit.json
/// report.html  table.md  table.csv  results.jsonl  openmetrics.txt  junit.xml  images/
/// levels/closed-008/r1/
///     requests.jsonl  series.csv  histograms.json  level.json
///     metrics-before.txt  metrics-after.txt  access.log  profile_export_aiperf.csv
/// ```
///
/// Every file but `requests.jsonl` is written under a temporary name and then renamed.
public struct ResultFolder: Sendable, Equatable {
    /// Location of the folder.
    public let url: URL

    /// Refers to the folder at a URL, whether it exists or not.
    public init(_ url: URL) { self.url = url }

    /// Refers to the folder at a path, whether it exists or not.
    public init(path: String) { self.init(URL(filePath: path, directoryHint: .isDirectory)) }

    // MARK: Files

    /// Identity and origin of the run.
    public var manifestFile: URL { url.appending(path: "manifest.json") }
    /// Copy of the scenario.
    public var scenarioFile: URL { url.appending(path: "scenario.yaml") }
    /// The planned requests, as JSON lines.
    public var planFile: URL { url.appending(path: "plan.jsonl") }
    /// All figures in one file.
    public var summaryFile: URL { url.appending(path: "summary.json") }
    /// The checks of the audit with their findings.
    public var auditFile: URL { url.appending(path: "audit.json") }
    /// The report as one HTML page.
    public var reportFile: URL { url.appending(path: "report.html") }
    /// The table of levels as Markdown.
    public var tableFile: URL { url.appending(path: "table.md") }
    /// The table of levels as CSV.
    public var tableCSVFile: URL { url.appending(path: "table.csv") }
    /// The results as JSON lines.
    public var resultsFile: URL { url.appending(path: "results.jsonl") }
    /// The figures in the text format of OpenMetrics.
    public var openMetricsFile: URL { url.appending(path: "openmetrics.txt") }
    /// Audit and objectives as test cases of JUnit.
    public var junitFile: URL { url.appending(path: "junit.xml") }
    /// The numbers of an external scorer.
    public var scoresFile: URL { url.appending(path: "scores.json") }
    /// The images that were saved.
    public var imagesFolder: URL { url.appending(path: "images", directoryHint: .isDirectory) }

    /// The folder of a visit of a level.
    public func level(_ visit: LevelVisit) -> LevelFolder {
        LevelFolder(url.appending(path: visit.folder, directoryHint: .isDirectory))
    }

    /// The folder of the audit's own requests (`LoadModel.Kind.probes`).
    public var probes: LevelFolder {
        level(LevelVisit(level: "probes", visit: 1, load: LoadModel(kind: .probes)))
    }

    // MARK: Reading

    /// Reads the manifest.
    ///
    /// - Throws: `ResultError` when the folder has no manifest or one of another version.
    public func manifest() throws -> Manifest {
        guard let data = try? Data(contentsOf: manifestFile) else {
            throw ResultError(
                "\(url.path) has no manifest.json; expected the result folder of a run, for"
                    + " instance runs/20260101T101500Z-name.")
        }
        let version = try Self.schemaVersion(data, manifestFile)
        guard version == Manifest.schemaVersion else {
            throw ResultError(
                "\(manifestFile.path) has schema_version \(version), this program reads"
                    + " \(Manifest.schemaVersion); use the version of imgbench that wrote it.")
        }
        return try Self.decode(Manifest.self, data, manifestFile)
    }

    /// The visits that have records, in the order of the manifest.
    public func presentLevels(_ manifest: Manifest) -> [LevelVisit] {
        manifest.levels.filter {
            FileManager.default.fileExists(atPath: level($0).requestsFile.path)
        }
    }

    /// Reads the planned requests, in the order of the file.
    public func plan() throws -> [PlannedRequest] { try Self.lines(PlannedRequest.self, planFile) }

    // MARK: Writing

    package func write(_ manifest: Manifest) throws {
        try Self.write(try RecordCoding.document(manifest), to: manifestFile)
    }

    /// Writes a file atomically, creating its folder.
    package static func write(_ data: Data, to file: URL) throws {
        do {
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try data.write(to: file, options: .atomic)
        } catch {
            throw ResultError(
                "Cannot write \(file.path): \(ResultError.reason(of: error)); choose a location"
                    + " that can be written.")
        }
    }

    // MARK: Helpers

    private struct Version: Decodable { var schemaVersion: Int? }

    private static func schemaVersion(_ data: Data, _ file: URL) throws -> Int {
        try decode(Version.self, data, file).schemaVersion ?? 0
    }

    /// - Throws: `ResultError` that names the file and what is wrong with it.
    package static func decode<T: Decodable>(
        _ type: T.Type, _ data: Data, _ file: URL
    ) throws -> T {
        do {
            return try RecordCoding.decode(type, from: data)
        } catch {
            throw ResultError(
                "\(file.path) is not a file that imgbench wrote: \(ResultError.reason(of: error)).")
        }
    }

    /// Reads JSON lines; an unterminated last line, which a crash leaves, is skipped.
    static func lines<T: Decodable>(_ type: T.Type, _ file: URL) throws -> [T] {
        guard let data = try? Data(contentsOf: file) else {
            throw ResultError("\(file.path) cannot be read; the run is not complete.")
        }
        let parts = data.split(separator: UInt8(ascii: "\n"))
        let isCut = data.last.map { $0 != UInt8(ascii: "\n") } ?? false
        return try (isCut ? parts.dropLast() : parts[...]).enumerated().map { index, line in
            do {
                return try RecordCoding.decode(type, from: Data(line))
            } catch {
                throw ResultError(
                    "\(file.path), line \(index + 1), is not a line that imgbench wrote:"
                        + " \(ResultError.reason(of: error)).")
            }
        }
    }
}

/// The files of one visit of a level.
public struct LevelFolder: Sendable, Equatable {
    /// Location of the folder.
    public let url: URL

    package init(_ url: URL) { self.url = url }

    /// The records of the requests, as JSON lines.
    public var requestsFile: URL { url.appending(path: "requests.jsonl") }
    /// One line of CSV for each second.
    public var seriesFile: URL { url.appending(path: "series.csv") }
    /// Histograms of the times, by metric and size.
    public var histogramsFile: URL { url.appending(path: "histograms.json") }
    /// What was measured beside the requests.
    public var resultFile: URL { url.appending(path: "level.json") }
    /// The server's metrics at the quiet point before settling, after priming.
    public var metricsBeforeFile: URL { url.appending(path: "metrics-before.txt") }
    /// The same after the drain: the difference covers exactly the records of the phases
    /// `settle` and `hold`.
    public var metricsAfterFile: URL { url.appending(path: "metrics-after.txt") }
    /// The figures with the columns of AIPerf.
    public var aiperfFile: URL { url.appending(path: "profile_export_aiperf.csv") }
    /// The lines of the server's log from before priming to after the drain.
    public var accessLogFile: URL { url.appending(path: "access.log") }

    /// Reads all records, those of priming included, in order of completion.
    public func requests() throws -> [LoadRequestRecord] {
        try ResultFolder.lines(LoadRequestRecord.self, requestsFile)
    }

    /// Reads `level.json`.
    ///
    /// - Throws: `ResultError` when it is missing because the run was killed during the level.
    public func result() throws -> LevelResult {
        guard let data = try? Data(contentsOf: resultFile) else {
            throw ResultError("\(resultFile.path) cannot be read; the level has no end.")
        }
        return try ResultFolder.decode(LevelResult.self, data, resultFile)
    }

    /// Reads the seconds of the level; empty without a file.
    public func series() -> [SeriesBin] {
        guard let text = try? String(contentsOf: seriesFile, encoding: .utf8) else { return [] }
        return text.split(separator: "\n").dropFirst().compactMap { SeriesBin(line: $0) }
    }

    package func write(_ result: LevelResult) throws {
        try ResultFolder.write(try RecordCoding.document(result), to: resultFile)
    }

    package func write(_ series: [SeriesBin]) throws {
        let text = ([SeriesBin.header] + series.map(\.line)).joined(separator: "\n") + "\n"
        try ResultFolder.write(Data(text.utf8), to: seriesFile)
    }
}

/// Why a result folder cannot be read or written, in one sentence.
public struct ResultError: Error, CustomStringConvertible, Equatable {
    /// One sentence: what failed, what was found, what was expected.
    public let description: String

    package init(_ description: String) { self.description = description }

    /// The reason of an error of Foundation in a few words: that of the system, if there is one.
    package static func reason(of error: any Error) -> String {
        if let error = error as? DecodingError { return reason(of: error) }
        if let cause = (error as? CocoaError)?.underlying as? POSIXError {
            return String(cString: strerror(cause.code.rawValue))
        }
        return withoutStop(error.localizedDescription)
    }

    /// The sentence without its full stop, to be a part of another.
    private static func withoutStop(_ sentence: String) -> String {
        sentence.hasSuffix(".") ? String(sentence.dropLast()) : sentence
    }

    private static func reason(of error: DecodingError) -> String {
        func path(_ context: DecodingError.Context) -> String {
            context.codingPath.map(\.stringValue).joined(separator: ".")
        }
        switch error {
        case .keyNotFound(let key, let context):
            let place = path(context)
            return "'\(key.stringValue)' is missing" + (place.isEmpty ? "" : " in '\(place)'")
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            return "'\(path(context))' has another type"
        default:
            guard case .dataCorrupted(let context) = error else { return "it cannot be decoded" }
            return withoutStop(context.debugDescription)
        }
    }
}
