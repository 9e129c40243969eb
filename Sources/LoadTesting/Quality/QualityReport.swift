// Part of Inkstone. Licence: see LICENSE.

public import Foundation
import Imaging

/// The quality of each level of a sweep against the reference level, paired by prompt and seed.
public struct QualityReport: Sendable, Equatable, Codable {
    /// A level.
    public struct Level: Sendable, Equatable, Codable {
        /// Name of the level: its steps or its precision.
        public var name: String
        /// Whether the level is the reference.
        public var isReference: Bool
        /// Distance from the reference; absent for the reference.
        public var quality: QualitySummary?
        /// Distance from the next higher number of steps, which shows whether images still change.
        public var next: QualitySummary?
        /// Means of an external scorer's numbers by their names; absent without one.
        public var scores: [String: Estimate]?
    }

    /// Name of the reference level.
    public var reference: String
    /// SHA-256 of the plan that all levels follow.
    public var planDigest: String
    /// The levels, in order.
    public var levels: [Level]

    /// What the figures do not show.
    public var caution: String {
        "Reference: \(reference). The figures are distances from the reference, not a judgement of quality: "
            + "the images of a model distilled for few steps do not converge with more. n pairs of equal prompt "
            + "and seed; intervals are 95 % by bootstrap over pairs."
    }

    /// Compares the saved images of a sweep of steps or precisions; `nil` for other runs.
    ///
    /// - Throws: `ResultError` when images are missing.
    public init?(_ folder: ResultFolder, _ evidence: RunEvidence) throws {
        guard let sweep = evidence.manifest.sweep, sweep == .steps || sweep == .precision else {
            return nil
        }
        let levels = evidence.levels
        let scores = try ScoreReport.read(folder)
        guard let reference = Self.reference(levels, sweep) else { return nil }
        self.reference = reference.label(in: sweep)
        planDigest = evidence.manifest.planDigest
        self.levels = try levels.enumerated().map { index, level in
            let isReference = level.key == reference.key
            // The reference is not a part of the sequence of numbers of steps.
            let following =
                sweep == .steps && level.visit.level != Self.referenceKey
                    && index + 1 < levels.count ? levels[index + 1] : nil
            return Level(
                name: level.label(in: sweep), isReference: isReference,
                quality: isReference
                    ? nil : QualitySummary(try Self.pairs(reference, level, folder)),
                next: try following.map { QualitySummary(try Self.pairs($0, level, folder)) },
                scores: scores?.levels.first { $0.level == level.key }?.scores)
        }
    }

    /// Names of the external scorer's numbers.
    private var scoreNames: [String] {
        Set(levels.flatMap { $0.scores.map { Array($0.keys) } ?? [] }).sorted()
    }

    /// The titles of the table, with those of the external scorer.
    var allTitles: [String] { Self.titles + scoreNames.map { $0 + " (95 %)" } }

    /// The key of the first level of a sweep.
    static let referenceKey = "reference"

    /// The level of that key; otherwise that of 8 steps, of the most steps, or of f32.
    static func reference(
        _ levels: [LevelEvidence], _ sweep: Manifest.Sweep
    ) -> LevelEvidence? {
        if let named = levels.first(where: { $0.visit.level == referenceKey }) { return named }
        let steps = { (level: LevelEvidence) in level.load.first?.parameters.steps ?? 0 }
        switch sweep {
        case .steps: return levels.first { steps($0) == 8 } ?? levels.max { steps($0) < steps($1) }
        default: return levels.first { $0.visit.level.hasSuffix("f32") } ?? levels.first
        }
    }

    struct Key: Hashable {
        var prompt: String
        var seed: UInt32
        var size: String

        init(_ request: RequestParameters) {
            prompt = request.prompt
            seed = request.seed
            size = request.size
        }
    }

    private static func pairs(
        _ reference: LevelEvidence, _ test: LevelEvidence, _ folder: ResultFolder
    ) throws -> [ImageQuality] {
        let files = Dictionary(
            reference.load.compactMap { record in
                record.image?.file.map { (Key(record.parameters), $0) }
            }, uniquingKeysWith: { first, _ in first })
        return try test.load.compactMap { record in
            guard let file = record.image?.file, let other = files[Key(record.parameters)] else {
                return nil
            }
            return try ImageQuality(
                reference: read(folder.url.appending(path: other)),
                test: read(folder.url.appending(path: file)))
        }
    }

    private static func read(_ file: URL) throws -> RGBImage {
        do {
            return try ImageFile.read(from: file.path).flattened()
        } catch {
            throw ResultError("\(error)")
        }
    }

    /// Compares the images of two folders by file name.
    ///
    /// - Throws: `ResultError` when a file has no counterpart, or another size.
    public static func folders(_ reference: URL, _ test: URL) throws -> QualitySummary {
        let names = { (folder: URL) throws -> [String] in
            guard let all = try? FileManager.default.contentsOfDirectory(atPath: folder.path) else {
                throw ResultError("\(folder.path) cannot be read; expected a folder of images.")
            }
            return all.filter { ImageFormat(fileExtension: URL(filePath: $0).pathExtension) != nil }
                .sorted()
        }
        let (first, second) = (try names(reference), try names(test))
        guard first == second, !first.isEmpty else {
            let lonely = Set(first).symmetricDifference(second).min()
            throw ResultError(
                lonely.map { "\($0) is in one folder only; both must hold the same names." }
                    ?? "\(reference.path) has no images.")
        }
        return QualitySummary(
            try first.map { name in
                do {
                    return try ImageQuality(
                        reference: read(reference.appending(path: name)),
                        test: read(test.appending(path: name)))
                } catch {
                    throw ResultError("\(name): \(error)")
                }
            })
    }

    /// The means of an external scorer for the images of two folders, paired by file name, as text.
    ///
    /// - Throws: `ResultError` when the scorer fails.
    public static func scores(
        _ reference: URL, _ test: URL, scorer: ExternalScorer
    ) throws -> String {
        let names = try FileManager.default.contentsOfDirectory(atPath: test.path)
            .filter { ImageFormat(fileExtension: URL(filePath: $0).pathExtension) != nil }.sorted()
        let scores = try scorer.scores(
            names.map { name in
                ExternalScorer.Item(
                    prompt: "", image: test.appending(path: name).path,
                    reference: reference.appending(path: name).path)
            })
        return ScoreReport.means(scores).sorted { $0.key < $1.key }
            .map { "\($0.key) \(ScoreReport.text($0.value))\n" }.joined()
    }

    static let titles = [
        "level", "n", "identical", "PSNR dB mean (95 %)", "of mean MSE", "p10", "min", "SSIM",
        "MS-SSIM",
        "GMSD", "ΔE00", "PSNR to next",
    ]

    /// The cells of the table.
    var rows: [[String]] {
        levels.map { level in
            let scores = scoreNames.map { name in
                level.scores?[name].map { Self.interval($0, 4) } ?? "-"
            }
            guard let quality = level.quality else {
                return [level.name + " (reference)"] + Array(repeating: "-", count: 10)
                    + [Self.text(level.next?.meanPSNR, 2)] + scores
            }
            let cells = [
                level.name, "\(quality.n)", "\(quality.identical)", Self.interval(quality.meanPSNR),
                Self.text(quality.psnrOfMean, 2), Self.text(quality.lowPSNR, 2),
                Self.text(quality.leastPSNR, 2), Self.text(quality.ssim, 4),
                Self.text(quality.multiScaleSSIM, 4), Self.text(quality.gradientDeviation, 4),
                Self.text(quality.colorDifference, 2), Self.text(level.next?.meanPSNR, 2),
            ]
            return cells + scores
        }
    }

    /// The table as Markdown.
    public var markdown: String {
        let line = { (cells: [String]) in "| " + cells.joined(separator: " | ") + " |\n" }
        return line(allTitles) + "|---|"
            + String(repeating: "---:|", count: allTitles.count - 1) + "\n"
            + rows.map(line).joined() + "\n" + caution + "\n"
    }

    private static func text(_ value: Double?, _ decimals: Int) -> String {
        value.map { Figures.decimals($0, decimals) } ?? "-"
    }

    private static func text(_ estimate: Estimate?, _ decimals: Int) -> String {
        if estimate?.reason == "all pairs are identical" { return "identical" }
        return text(estimate?.value, decimals)
    }

    private static func interval(_ estimate: Estimate, _ decimals: Int = 2) -> String {
        guard let low = estimate.low, let high = estimate.high else {
            return text(estimate, decimals)
        }
        return "\(text(estimate, decimals)) (\(Figures.decimals(low, decimals))-"
            + "\(Figures.decimals(high, decimals)))"
    }
}
