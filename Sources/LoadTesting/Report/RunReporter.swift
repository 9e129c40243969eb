// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// Computes figures, audit and report of a run, and writes them into its folder.
public struct RunReporter: Sendable {
    /// The files that can be written.
    public enum Format: String, Sendable, CaseIterable {
        case html, md, csv, json
        /// The results as JSON lines: `results.jsonl`.
        case jsonl
        /// The figures as `openmetrics.txt`.
        case openmetrics
        /// Audit and objectives as test cases: `junit.xml`.
        case junit
        /// The figures of each level with the columns of AIPerf: `profile_export_aiperf.csv`.
        case aiperf
    }

    /// The result folder.
    public let folder: ResultFolder
    /// The run with its figures.
    public let evidence: RunEvidence
    /// The checks with their findings.
    public let audit: AuditReport
    /// All figures in one value.
    public let summary: RunSummary

    /// Reads a result folder and computes figures and audit, without writing.
    ///
    /// - Throws: `ResultError` when the folder or one of its files cannot be read.
    public init(_ folder: ResultFolder) throws {
        var evidence = try RunEvidence(folder)
        evidence.compute()
        self.folder = folder
        let knee = KneeAnalysis(evidence)
        audit = RunAudit(evidence).report()
        summary = RunSummary(evidence, audit: audit, knee: knee)
        self.evidence = evidence
    }

    /// The table of levels as Markdown.
    public var markdown: String { LevelTable(evidence, audit: audit).markdown }
    /// The table of levels as CSV.
    public var csv: String { LevelTable(evidence, audit: audit).csv }

    /// The report as an HTML page.
    public func html() -> String {
        var page = ReportPage(evidence: evidence, audit: audit, summary: summary)
        page.images = ContactSheet.entries(evidence, in: folder)
        page.quality = try? QualityReport(folder, evidence)
        page.steps = StepSheet(evidence, in: folder)
        page.sizes = TokenFit(evidence)
        return page.html
    }

    /// Writes figures, histograms, audit, summary, tables and page.
    ///
    /// - Throws: `ResultError` when the folder cannot be written.
    public func write(_ formats: Set<Format> = Set(Format.allCases)) throws {
        if formats.contains(.json) {
            try writeLevels()
            try ResultFolder.write(try RecordCoding.document(audit), to: folder.auditFile)
            try ResultFolder.write(try RecordCoding.document(summary), to: folder.summaryFile)
        }
        if formats.contains(.md) {
            try ResultFolder.write(Data(markdown.utf8), to: folder.tableFile)
        }
        if formats.contains(.csv) {
            try ResultFolder.write(Data(csv.utf8), to: folder.tableCSVFile)
        }
        if formats.contains(.jsonl) {
            let lines = ResultLines(summary: summary, audit: audit, evidence: evidence)
            try ResultFolder.write(try lines.data(), to: folder.resultsFile)
        }
        if formats.contains(.openmetrics) {
            let text = OpenMetricsText(summary: summary, audit: audit).text
            try ResultFolder.write(Data(text.utf8), to: folder.openMetricsFile)
        }
        if formats.contains(.junit) {
            try ResultFolder.write(
                Data(JUnitReport(summary, audit).xml.utf8), to: folder.junitFile)
        }
        if formats.contains(.aiperf) {
            for level in evidence.levels {
                guard let figures = level.figures else { continue }
                try ResultFolder.write(
                    Data(AIPerfTable(level: level, figures: figures).csv.utf8),
                    to: folder.level(level.visit).aiperfFile)
            }
        }
        if formats.contains(.html) {
            try ResultFolder.write(Data(html().utf8), to: folder.reportFile)
        }
    }

    private func writeLevels() throws {
        for level in evidence.levels {
            guard let figures = level.figures else { continue }
            let place = folder.level(level.visit)
            // Stored figures are evidence and are not replaced.
            if var result = level.result, result.figures == nil {
                result.figures = figures
                try place.write(result)
            }
            let started = level.load.filter { $0.isValid && figures.window.contains($0.times.send) }
            var histograms: [String: LatencyHistogram] = [:]
            for (size, records) in Dictionary(grouping: started, by: \.parameters.size) {
                let metrics: [(String, [Double])] = [
                    ("e2e", records.compactMap(\.endToEndMs)),
                    ("ttfp", records.compactMap(\.firstPreviewMs)),
                ]
                for (name, values) in metrics where !values.isEmpty {
                    histograms["\(name) \(size)"] = LatencyHistogram(
                        seconds: values.map { $0 / 1000 })
                }
            }
            try ResultFolder.write(try RecordCoding.document(histograms), to: place.histogramsFile)
        }
    }
}
