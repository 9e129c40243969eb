// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// The summary of a run in one sentence, and the numbers in it.
///
/// The headline of a run that fails its audit states the worst finding and no figure of the run.
public struct Headline: Codable, Sendable, Equatable {
    /// The sentence.
    public var text: String
    /// Key of the level with the highest throughput.
    public var level: String?
    /// Users of that level; closed loops only.
    public var users: Int?
    /// Images a second.
    public var throughput: Double?
    /// Images a second that met every objective; absent without objectives.
    public var goodput: Double?
    /// Mean E2E of that level in ms.
    public var meanEndToEndMs: Double?

    /// The headline of a run whose audit failed.
    package init(failure: String) { text = "Not a result: the audit failed. \(failure)" }

    /// Summarizes the best level: that with the highest goodput, or without objectives the highest throughput;
    /// `nil` when no level returned an image.
    package init?(_ evidence: RunEvidence, knee: Int? = nil) {
        let rated = evidence.levels.compactMap { level -> (LevelEvidence, Double, Double)? in
            guard let figures = level.figures, let rate = figures.throughput.value, rate > 0,
                let mean = figures.endToEnd.mean.value
            else { return nil }
            return (level, rate, mean)
        }
        let value = { (level: (LevelEvidence, Double, Double)) in
            level.0.figures?.goodput?.value ?? level.1
        }
        guard let best = rated.max(by: { value($0) < value($1) }) else { return nil }
        level = best.0.key
        users = best.0.users
        throughput = best.1
        goodput = best.0.figures?.goodput?.value
        meanEndToEndMs = best.2
        let place = best.0.users.map { "\($0) user\($0 == 1 ? "" : "s")" } ?? best.0.visit.level
        let good = goodput.map {
            "goodput \(Figures.significant($0, 3))/s, images that met every objective, of "
        }
        text =
            (good ?? "")
            + "\(Figures.significant(best.1, 3)) img/s at \(place), with a mean E2E of "
            + Self.time(best.2)
        if let knee, knee < users ?? 0,
            let at = rated.first(where: { $0.0.users == knee })
        {
            text +=
                "; the knee is at \(knee) users, where the mean is \(Self.time(at.2)) at "
                + "\(Figures.significant(at.1, 3)) a second"
        }
        if let search = RateSearch(evidence) { text += "; \(search.text)" }
        text += "."
    }

    /// Reads the headline that `summary.json` of a result folder holds; `nil` without one.
    init?(storedIn folder: ResultFolder) {
        struct Summary: Decodable { var headline: Headline? }
        guard let data = try? Data(contentsOf: folder.summaryFile),
            let headline = try? RecordCoding.decode(Summary.self, from: data).headline
        else { return nil }
        self = headline
    }

    private static func time(_ ms: Double) -> String {
        ms < 1000
            ? "\(Figures.significant(ms, 3)) ms" : "\(Figures.significant(ms / 1000, 3)) s"
    }
}
