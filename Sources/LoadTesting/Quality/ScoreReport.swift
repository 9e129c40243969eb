// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// The numbers of an external scorer for the saved images of a run: `scores.json`.
public struct ScoreReport: Sendable, Equatable, Codable {
    /// A level.
    public struct Level: Sendable, Equatable, Codable {
        /// The level's key.
        public var level: String
        /// Number of images.
        public var n: Int
        /// Means by the names of the numbers, with bootstrap intervals.
        public var scores: [String: Estimate]
    }

    /// The command.
    public var command: String
    /// The levels with saved images, in order.
    public var levels: [Level]

    /// Scores the saved images of a run.
    ///
    /// In sweeps of steps and precisions, each image has that of the reference level as its reference.
    ///
    /// - Throws: `ResultError` when the scorer fails, or when the run saved no images.
    public init(_ folder: ResultFolder, _ evidence: RunEvidence, scorer: ExternalScorer) throws {
        let path = { (file: String) in folder.url.appending(path: file).path }
        let sweep = evidence.manifest.sweep
        var references: [QualityReport.Key: String] = [:]
        if let sweep, sweep == .steps || sweep == .precision,
            let reference = QualityReport.reference(evidence.levels, sweep)
        {
            for record in reference.load {
                guard let file = record.image?.file else { continue }
                references[QualityReport.Key(record.parameters)] = path(file)
            }
        }
        var items: [ExternalScorer.Item] = []
        var owners: [String] = []
        for level in evidence.levels {
            for record in level.load where record.isValid {
                guard let file = record.image?.file else { continue }
                items.append(
                    ExternalScorer.Item(
                        prompt: record.parameters.prompt, image: path(file),
                        reference: references[QualityReport.Key(record.parameters)]))
                owners.append(level.key)
            }
        }
        guard !items.isEmpty else {
            throw ResultError("\(folder.url.path) has no saved images to score.")
        }
        let scores = try scorer.scores(items)
        command = scorer.command
        levels = evidence.levels.compactMap { level in
            let own = zip(owners, scores).filter { $0.0 == level.key }.map(\.1)
            guard !own.isEmpty else { return nil }
            return Level(level: level.key, n: own.count, scores: Self.means(own))
        }
    }

    /// The mean of each number.
    package static func means(_ scores: [[String: Double]]) -> [String: Estimate] {
        let names = Set(scores.flatMap(\.keys))
        return Dictionary(
            uniqueKeysWithValues: names.map { name in
                (name, Bootstrap.mean(scores.compactMap { $0[name] }, seed: 1))
            })
    }

    /// Reads the scores of a result folder; `nil` when it has none.
    ///
    /// - Throws: `ResultError` for a file that `imgbench` did not write.
    static func read(_ folder: ResultFolder) throws -> ScoreReport? {
        guard let data = try? Data(contentsOf: folder.scoresFile) else { return nil }
        return try ResultFolder.decode(ScoreReport.self, data, folder.scoresFile)
    }

    /// Writes `scores.json`.
    public func write(to folder: ResultFolder) throws {
        try ResultFolder.write(try RecordCoding.document(self), to: folder.scoresFile)
    }

    /// The means as a Markdown table.
    public var markdown: String {
        let names = Set(levels.flatMap(\.scores.keys)).sorted()
        var text = "| level | n | " + names.map { $0 + " (95 %)" }.joined(separator: " | ") + " |\n"
        text += "|---|---:|" + names.map { _ in "---:|" }.joined() + "\n"
        for level in levels {
            let cells = names.map { name in level.scores[name].map(Self.text) ?? "-" }
            text += "| \(level.level) | \(level.n) | " + cells.joined(separator: " | ") + " |\n"
        }
        return text + "\nScorer: \(command)\n"
    }

    /// A mean with its interval.
    package static func text(_ estimate: Estimate) -> String {
        guard let value = estimate.value else { return "-" }
        guard let low = estimate.low, let high = estimate.high else {
            return Figures.significant(value, 4)
        }
        return "\(Figures.significant(value, 4)) (\(Figures.significant(low, 4))-"
            + "\(Figures.significant(high, 4)))"
    }
}
