// Part of Inkstone. Licence: see LICENSE.

/// The saturation point of a server, by several methods, and their agreement.
public struct KneeAnalysis: Sendable, Equatable, Codable {
    /// The levels, sorted by users.
    public var points: [LoadPoint]
    /// The result of each method.
    public var answers: [KneeAnswer]
    /// The fit of the universal scalability law; absent for fewer than three levels.
    public var scalability: ScalabilityFit?
    /// The number of users on which the asymptotic crossing, kneedle and power agree within one
    /// level.
    public var knee: Int?
    /// The conclusion in one sentence.
    public var verdict: String
    /// How often each level was the knee when the slices of every level were resampled.
    public var shares: [Share] = []

    /// A level and how often it was the knee.
    public struct Share: Sendable, Equatable, Codable {
        /// Users of the level.
        public var users: Int
        /// 0 to 1.
        public var share: Double
    }

    /// Throughput and mean E2E of one slice of a level's window.
    public struct Slice: Sendable, Equatable {
        /// Images a second.
        public var throughput: Double
        /// Seconds.
        public var endToEnd: Double

        /// Creates a slice.
        public init(throughput: Double, endToEnd: Double) {
            self.throughput = throughput
            self.endToEnd = endToEnd
        }
    }

    /// Analyses levels; `slices` are the slices of each level, by its users.
    public init(
        points: [LoadPoint], objectives: ServiceObjectives = .init(),
        slices: [Int: [Slice]] = [:], seed: UInt64 = 1
    ) {
        let points = points.sorted { $0.users < $1.users }
        self.points = points
        let crossing = KneeMethods.asymptoticCrossing(points)
        let kneedle = KneeMethods.kneedle(points)
        let power = KneeMethods.power(points)
        let goal = KneeMethods.objectives(points, objectives)
        let marginal = KneeMethods.marginal(points)
        let fit = ScalabilityFit(points)
        scalability = fit
        answers = [
            KneeAnswer(
                method: .asymptotic, users: crossing,
                note: crossing == nil
                    ? "needs a level of one user" : "R(1) X_max = \(Self.text(crossing, 1)) users"),
            Self.answer(fit),
            KneeAnswer(
                method: .kneedle, users: kneedle.users.map(Double.init),
                note: kneedle.differences.isEmpty
                    ? "needs three levels and a rate that rises"
                    : "differences " + Self.list(kneedle.differences, 2)),
            KneeAnswer(
                method: .power, users: power.users.map(Double.init),
                note: "X/R " + Self.list(power.powers, 1)),
            KneeAnswer(method: .objectives, users: goal.users.map(Double.init), note: goal.note),
            KneeAnswer(
                method: .marginal, users: marginal.map(Double.init),
                note: marginal == nil
                    ? "every step brings at least 20 % of the ideal gain"
                    : "the next level brings less than 20 % of the ideal gain"),
        ]
        (knee, verdict) = Self.agreement(points, crossing, kneedle.users, power.users)
        shares = Self.resample(points, slices, seed)
    }

    private static func answer(_ fit: ScalabilityFit?) -> KneeAnswer {
        guard let fit else {
            return KneeAnswer(method: .scalability, users: nil, note: "needs three levels")
        }
        let peak = fit.peak.map { ", peak at \(text($0, 0)) users" } ?? ", no peak"
        let figures =
            "a = \(Figures.significant(fit.rate, 3)), s = \(Figures.significant(fit.contention, 2)),"
            + " k = \(Figures.significant(fit.crosstalk, 2)), R² = \(text(fit.rSquared, 4))\(peak)"
        guard let refusal = fit.refusal else {
            return KneeAnswer(method: .scalability, users: fit.peak, note: figures)
        }
        return KneeAnswer(
            method: .scalability, users: nil, note: "refused, \(refusal); \(figures)")
    }

    /// The levels that the three methods select, as indices of `points`.
    private static func places(
        _ points: [LoadPoint], _ crossing: Double?, _ kneedle: Int?, _ power: Int?
    ) -> [Int] {
        let nearest = { (users: Double) in
            points.indices.min {
                abs(Double(points[$0].users) - users) < abs(Double(points[$1].users) - users)
            }
        }
        return [crossing, kneedle.map(Double.init), power.map(Double.init)]
            .compactMap { $0.flatMap(nearest) }
    }

    private static func agreement(
        _ points: [LoadPoint], _ crossing: Double?, _ kneedle: Int?, _ power: Int?
    ) -> (Int?, String) {
        let places = places(points, crossing, kneedle, power).sorted()
        guard places.count == 3 else {
            return (nil, "no clear knee: \(places.count) of three methods have an answer")
        }
        let users = places.map { points[$0].users }
        if places[2] - places[0] <= 1 {
            return (users[1], "knee at N = \(users[1]), three methods agree")
        }
        return (nil, "no clear knee: between N = \(users[0]) and N = \(users[2])")
    }

    /// Resamples the slices of every level and counts the median of the three methods.
    private static func resample(
        _ points: [LoadPoint], _ slices: [Int: [Slice]], _ seed: UInt64
    ) -> [Share] {
        guard points.count >= 3, points.allSatisfy({ slices[$0.users]?.count ?? 0 >= 5 }) else {
            return []
        }
        var generator = SplitMix64(seed: seed)
        var counts: [Int: Int] = [:]
        for _ in 0..<Bootstrap.resamples {
            let drawn = points.map { point in
                var next = point
                let all = slices[point.users] ?? []
                let chosen = all.indices.map { _ in
                    all[Int.random(in: all.indices, using: &generator)]
                }
                next.throughput = SampleStatistics.mean(chosen.map(\.throughput))
                next.endToEnd = SampleStatistics.mean(chosen.map(\.endToEnd))
                return next
            }
            let found = places(
                drawn, KneeMethods.asymptoticCrossing(drawn), KneeMethods.kneedle(drawn).users,
                KneeMethods.power(drawn).users
            ).sorted()
            if found.count == 3 { counts[points[found[1]].users, default: 0] += 1 }
        }
        return counts.sorted { $0.key < $1.key }.map {
            Share(users: $0.key, share: Double($0.value) / Double(Bootstrap.resamples))
        }
    }

    private static func text(_ value: Double?, _ decimals: Int) -> String {
        value.map { Figures.decimals($0, decimals) } ?? "-"
    }

    private static func list(_ values: [Double], _ decimals: Int) -> String {
        values.map { Figures.decimals($0, decimals) }.joined(separator: ", ")
    }
}
