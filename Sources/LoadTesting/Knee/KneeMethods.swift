// Part of Inkstone. Licence: see LICENSE.

/// The methods without a fit; their points are sorted by users.
package enum KneeMethods {
    /// N* = R(1) X_max, where the bounds of an empty and of a saturated server cross.
    package static func asymptoticCrossing(_ points: [LoadPoint]) -> Double? {
        guard let first = points.first, first.users == 1,
            let most = points.map(\.throughput).max()
        else { return nil }
        return first.endToEnd * most
    }

    /// The differences of the normalized curve from the diagonal, and the level with the largest.
    ///
    /// All points are used without smoothing, with users on a linear axis: a logarithmic axis would
    /// make the curve convex.
    ///
    /// - Source: Satopaa, Albrecht, Irwin, Raghavan, "Finding a Kneedle in a haystack", ICDCSW
    ///   2011, with the actual gaps in the threshold.
    package static func kneedle(_ points: [LoadPoint]) -> (users: Int?, differences: [Double]) {
        guard points.count >= 3, let first = points.first, let last = points.last,
            last.users > first.users
        else { return (nil, []) }
        let rates = points.map(\.throughput)
        guard let low = rates.min(), let high = rates.max(), high > low else { return (nil, []) }
        let width = Double(last.users - first.users)
        let differences = points.map {
            ($0.throughput - low) / (high - low) - Double($0.users - first.users) / width
        }
        guard let best = differences.indices.max(by: { differences[$0] < differences[$1] }),
            best > 0, best + 1 < points.count
        else { return (nil, differences) }
        // Sensitivity 1: behind the knee the difference must fall by the mean gap of the levels up to
        // it; otherwise the bend is within the spacing of the levels.
        let gap = Double(points[best].users - first.users) / width / Double(max(best, 1))
        let fallen = differences[best...].contains { $0 < differences[best] - gap }
        return (fallen ? points[best].users : nil, differences)
    }

    /// X / R of each level, and the level with the maximum.
    package static func power(_ points: [LoadPoint]) -> (users: Int?, powers: [Double]) {
        let powers = points.map { $0.endToEnd > 0 ? $0.throughput / $0.endToEnd : 0 }
        let best = powers.indices.max { powers[$0] < powers[$1] }
        return (best.map { points[$0].users }, powers)
    }

    /// The largest level up to which every level meets every objective.
    package static func objectives(
        _ points: [LoadPoint], _ objectives: ServiceObjectives
    ) -> (users: Int?, note: String) {
        if objectives.endToEndP95 == nil, objectives.firstPreviewP95 == nil,
            objectives.errors == nil
        {
            return (nil, "the scenario has no objectives")
        }
        var best: Int?
        for point in points {
            let checks = [
                ("E2E p95", point.endToEndP95, objectives.endToEndP95),
                ("TTFP p95", point.firstPreviewP95, objectives.firstPreviewP95),
                ("error rate", point.errorRate, objectives.errors),
            ]
            for case (let name, let value, let limit?) in checks {
                guard let value else {
                    return (best, "\(name) of \(point.users) users was not measured")
                }
                if value > limit {
                    let unit = name == "error rate" ? (100.0, " %") : (1000.0, " ms")
                    return (
                        best,
                        "\(name) at \(point.users) users is "
                            + "\(Figures.significant(value * unit.0, 3))\(unit.1), limit "
                            + "\(Figures.significant(limit * unit.0, 3))\(unit.1)"
                    )
                }
            }
            best = point.users
        }
        return (best, "met at every level")
    }

    /// The first level after which additional users bring less than a fifth of the ideal gain.
    package static func marginal(_ points: [LoadPoint]) -> Int? {
        guard let first = points.first, first.users > 0 else { return nil }
        let ideal = first.throughput / Double(first.users)
        for (point, next) in zip(points, points.dropFirst()) {
            let gain =
                (next.throughput - point.throughput) / Double(next.users - point.users)
            if gain < 0.2 * ideal { return point.users }
        }
        return nil
    }
}
