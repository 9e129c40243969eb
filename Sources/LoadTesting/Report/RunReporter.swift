// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// Computes everything that is told of a run, and writes it into its folder.
package struct RunReporter: Sendable {
    package enum Format: String, Sendable, CaseIterable {
        case html, md, csv, json
    }

    package let folder: ResultFolder
    package let evidence: RunEvidence
    package let audit: AuditReport
    package let summary: RunSummary

    /// Reads a folder and computes; nothing is written and nothing is measured.
    ///
    /// - Throws: `ResultError`.
    package init(_ folder: ResultFolder) throws {
        var evidence = try RunEvidence(folder)
        evidence.compute()
        self.folder = folder
        let knee = KneeAnalysis(evidence)
        audit = RunAudit(evidence).report()
        summary = RunSummary(evidence, audit: audit, knee: knee)
        self.evidence = evidence
    }

    /// The table for a README.
    package var markdown: String { LevelTable(evidence, audit: audit).markdown }
    /// The table for a spreadsheet.
    package var csv: String { LevelTable(evidence, audit: audit).csv }

    /// The page.
    package func html() -> String {
        var page = ReportPage(evidence: evidence, audit: audit, summary: summary)
        page.images = ContactSheet.entries(evidence, in: folder)
        page.quality = try? QualityReport(folder, evidence)
        page.sizes = TokenFit(evidence)
        return page.html
    }

    /// Writes figures, histograms, audit, summary, tables and page.
    ///
    /// - Throws: `ResultError` when the folder cannot be written.
    package func write(_ formats: Set<Format> = Set(Format.allCases)) throws {
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
        if formats.contains(.html) {
            try ResultFolder.write(Data(html().utf8), to: folder.reportFile)
        }
    }

    private func writeLevels() throws {
        for level in evidence.levels {
            guard let figures = level.figures else { continue }
            let place = folder.level(level.visit)
            // Figures that were stored are evidence; only a level without any gets them.
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
