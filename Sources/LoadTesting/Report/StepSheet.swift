// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// The images of some prompts of a sweep of steps or precisions, side by side.
struct StepSheet {
    /// A prompt and its image of each level; `nil` where it is missing.
    struct Row {
        var prompt: String
        var images: [String?]
    }

    /// Number of prompts that are shown.
    private static let limit = 4

    /// Names of the levels, in order.
    let levels: [String]
    let rows: [Row]

    /// Reads the saved images; `nil` for other runs.
    init?(_ evidence: RunEvidence, in folder: ResultFolder) {
        let sweep = evidence.manifest.sweep
        guard sweep == .steps || sweep == .precision, let first = evidence.levels.first else {
            return nil
        }
        levels = evidence.levels.map { $0.label(in: sweep) }
        let files = evidence.levels.map { level in
            Dictionary(
                level.load.compactMap { record in
                    record.image?.file.map { (QualityReport.Key(record.parameters), $0) }
                }, uniquingKeysWith: { first, _ in first })
        }
        let requests = first.load.filter { $0.image?.file != nil }
            .sorted { $0.sequence < $1.sequence }.prefix(Self.limit)
        rows = requests.map { record in
            let key = QualityReport.Key(record.parameters)
            return Row(
                prompt: record.parameters.prompt,
                images: files.map { files in
                    files[key].flatMap { ContactSheet.small(folder.url.appending(path: $0)) }
                })
        }
        guard !rows.isEmpty else { return nil }
    }
}
