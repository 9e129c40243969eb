// Part of Inkstone. Licence: see LICENSE.

public import Foundation

extension RunPlan {
    /// The plan of one of several generators, which send their parts at the same times.
    ///
    /// The levels begin at moments that follow from `start` and the scenario: settling and hold have fixed lengths,
    /// and preparation and drain have `request.timeout` each.
    ///
    /// - Throws: `ScenarioError` for levels whose load depends on what was measured before.
    public func part(_ part: PlanPart, start: Date) throws(ScenarioError) -> RunPlan {
        for visit in visits where visit.visit.load.isSearch == true || visit.shareOfKnee != nil {
            throw ScenarioError(
                "The rate of level \(visit.visit.level) follows from levels before it, which each generator"
                    + " measures in part; write a rate such as 5/s, or use one generator.")
        }
        for visit in visits where visit.visit.load.kind == .offline || visit.limit != nil {
            throw ScenarioError(
                "Level \(visit.visit.level) cannot be divided among generators; expected closed and open"
                    + " levels.")
        }
        var plan = self
        plan.part = part
        plan.start = start
        return plan
    }

    /// When a visit's preparation may begin, and when its load begins; `nil` without a start.
    package func schedule(_ index: Int) -> (preparation: Date, load: Date)? {
        guard let start else { return nil }
        let before = visits[..<index].reduce(0.0) { $0 + slot($1) }
        let preparation = start.addingTimeInterval(before)
        return (preparation, preparation.addingTimeInterval(visits[index].mix.timeout))
    }

    /// Seconds from the preparation of a visit to that of the next.
    private func slot(_ visit: Visit) -> Double {
        2 * visit.mix.timeout + scenario.settle.maximum
            + (visit.visit.load.seconds ?? scenario.hold) + scenario.cooldown
    }
}
