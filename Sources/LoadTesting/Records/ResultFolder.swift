// Part of Inkstone. Licence: see LICENSE.

package import Foundation

/// The folder of a run: where its files are, and how they are read and written.
///
/// ```
/// manifest.json  scenario.yaml  plan.jsonl  summary.json  audit.json
/// report.html  table.md  table.csv  images/
/// levels/closed-008/r1/
///     requests.jsonl  series.csv  histograms.json  level.json
///     metrics-before.txt  metrics-after.txt  access.log
/// ```
///
/// Every file but `requests.jsonl` is written whole under another name and then renamed.
package struct ResultFolder: Sendable, Equatable {
    package let url: URL

    package init(_ url: URL) { self.url = url }

    package init(path: String) { self.init(URL(filePath: path, directoryHint: .isDirectory)) }

    // MARK: Places

    package var manifestFile: URL { url.appending(path: "manifest.json") }
    package var scenarioFile: URL { url.appending(path: "scenario.yaml") }
    package var planFile: URL { url.appending(path: "plan.jsonl") }
    package var summaryFile: URL { url.appending(path: "summary.json") }
    package var auditFile: URL { url.appending(path: "audit.json") }
    package var reportFile: URL { url.appending(path: "report.html") }
    package var tableFile: URL { url.appending(path: "table.md") }
    package var tableCSVFile: URL { url.appending(path: "table.csv") }
    package var imagesFolder: URL { url.appending(path: "images", directoryHint: .isDirectory) }

    /// Where a visit of a level is.
    package func level(_ visit: LevelVisit) -> LevelFolder {
        LevelFolder(url.appending(path: visit.folder, directoryHint: .isDirectory))
    }

    /// The audit's own requests (`LoadModel.Kind.probes`), if there were any.
    package var probes: LevelFolder {
        level(LevelVisit(level: "probes", visit: 1, load: LoadModel(kind: .probes)))
    }

    // MARK: Reading

    /// - Throws: `ResultError` when the folder has no manifest or one of another version.
    package func manifest() throws -> Manifest {
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

    /// The visits that left something behind, in the order of the manifest.
    package func presentLevels(_ manifest: Manifest) -> [LevelVisit] {
        manifest.levels.filter {
            FileManager.default.fileExists(atPath: level($0).requestsFile.path)
        }
    }

    /// The planned requests, in the order of the file.
    package func plan() throws -> [PlannedRequest] { try Self.lines(PlannedRequest.self, planFile) }

    // MARK: Writing

    package func write(_ manifest: Manifest) throws {
        try Self.write(try RecordCoding.document(manifest), to: manifestFile)
    }

    /// Makes the folder and writes a file of it as a whole.
    package static func write(_ data: Data, to file: URL) throws {
        do {
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try data.write(to: file, options: .atomic)
        } catch {
            throw ResultError(
                "Cannot write \(file.path): \(error.localizedDescription); choose a folder that"
                    + " can be written with --out.")
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
            throw ResultError("\(file.path) is not what imgbench writes: \(error)")
        }
    }

    /// Reads JSON lines; a last line without an end is what a crash leaves and is skipped.
    static func lines<T: Decodable>(_ type: T.Type, _ file: URL) throws -> [T] {
        guard let data = try? Data(contentsOf: file) else {
            throw ResultError("\(file.path) cannot be read; the run is not complete.")
        }
        let parts = data.split(separator: UInt8(ascii: "\n"))
        let isCut = data.last.map { $0 != UInt8(ascii: "\n") } ?? false
        return try (isCut ? parts.dropLast() : parts[...]).map { try decode(type, Data($0), file) }
    }
}

/// The files of one visit of a level.
package struct LevelFolder: Sendable, Equatable {
    package let url: URL

    package init(_ url: URL) { self.url = url }

    package var requestsFile: URL { url.appending(path: "requests.jsonl") }
    package var seriesFile: URL { url.appending(path: "series.csv") }
    package var histogramsFile: URL { url.appending(path: "histograms.json") }
    package var resultFile: URL { url.appending(path: "level.json") }
    /// The server's metrics at the quiet point before settling, after priming.
    package var metricsBeforeFile: URL { url.appending(path: "metrics-before.txt") }
    /// The same after the drain: the difference covers exactly the records of the phases
    /// `settle` and `hold`.
    package var metricsAfterFile: URL { url.appending(path: "metrics-after.txt") }
    /// The lines of the server's log from before priming to after the drain.
    package var accessLogFile: URL { url.appending(path: "access.log") }

    /// All requests, priming included, in the order in which they ended.
    package func requests() throws -> [LoadRequestRecord] {
        try ResultFolder.lines(LoadRequestRecord.self, requestsFile)
    }

    /// - Throws: `ResultError` when it is not there: the level was cut by a crash.
    package func result() throws -> LevelResult {
        guard let data = try? Data(contentsOf: resultFile) else {
            throw ResultError("\(resultFile.path) cannot be read; the level has no end.")
        }
        return try ResultFolder.decode(LevelResult.self, data, resultFile)
    }

    /// The seconds of the level; empty when there is no file.
    package func series() -> [SeriesBin] {
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

/// A result folder that cannot be read or written, in one sentence.
package struct ResultError: Error, CustomStringConvertible, Equatable {
    package let description: String

    package init(_ description: String) { self.description = description }
}
