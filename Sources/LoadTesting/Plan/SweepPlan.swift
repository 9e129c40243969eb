// Part of Inkstone. Licence: see LICENSE.

/// Runs that vary one thing and ask for the same images at each of its values.
package enum SweepPlan {
    /// Sizes of the resolution sweep.
    package static let sizes = [
        "256x256", "384x384", "512x512", "768x768", "1024x1024", "1280x1280", "1536x1536",
        "832x1216", "1216x832",
    ].compactMap(ScenarioUnits.size)

    /// Steps of the step sweep.
    package static let steps = [1, 2, 4, 6, 8, 9, 12, 16]

    /// One visit for each size and number of users, with so many images for each user.
    package static func resolution(
        _ scenario: Scenario, sizes: [RequestMix.Size], users: [Int], prompts: Int
    ) -> RunPlan {
        RunPlan(
            scenario,
            visits: sizes.flatMap { size in
                users.map { users in
                    var mix = scenario.request
                    mix.sizes = [Weighted(size)]
                    let key =
                        "size-\(size.width)x\(size.height)" + (users > 1 ? "-users-\(users)" : "")
                    return visit(key, mix, users: users, limit: prompts * users)
                }
            })
    }

    /// One visit for each number of steps, after the reference.
    ///
    /// `reference` is the address of a server in full precision, `nil` for the same server;
    /// `referenceSteps` is what the model was made for, 8 for Turbo.
    package static func steps(
        _ scenario: Scenario, steps: [Int], prompts: Int, reference: String?, referenceSteps: Int
    ) -> RunPlan {
        var mix = scenario.request
        mix.steps = [Weighted(referenceSteps)]
        var first = visit("reference", mix, users: 1, limit: prompts)
        first.url = reference
        return RunPlan(
            scenario,
            visits: [first]
                + steps.map { steps in
                    var mix = scenario.request
                    mix.steps = [Weighted(steps)]
                    return visit("steps-\(digits(steps))", mix, users: 1, limit: prompts)
                })
    }

    /// One visit for each server, the first of which is the reference.
    package static func precision(
        _ scenario: Scenario, servers: [(name: String, url: String)], prompts: Int
    ) -> RunPlan {
        RunPlan(
            scenario,
            visits: servers.enumerated().map { index, server in
                var visit = visit(
                    index == 0 ? "reference" : "precision-" + server.name, scenario.request,
                    users: 1, limit: prompts)
                visit.url = server.url
                return visit
            })
    }

    /// All visits of a sweep draw the same prompts and seeds.
    private static func visit(
        _ key: String, _ mix: RequestMix, users: Int, limit: Int
    ) -> RunPlan.Visit {
        var visit = RunPlan.Visit(
            visit: LevelVisit(
                level: key, visit: 1, load: LoadModel(kind: .closed, users: users)),
            content: 0, mix: mix)
        visit.limit = limit
        visit.keepsImages = true
        return visit
    }

    private static func digits(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
}
