// Part of Inkstone. Licence: see LICENSE.

/// Plans of runs that vary one parameter and request the same images at each of its values.
public enum SweepPlan {
    /// Default prompt of sweeps.
    public static let prompt = "{style} photo of {subject} in {place}, {light}"
    /// The words of the default prompt.
    public static let keywords = [
        "style": ["studio", "film", "macro", "aerial", "documentary"],
        "subject": [
            "a red fox", "a ceramic teapot", "an old lighthouse", "a green bicycle",
            "a sleeping cat", "a bowl of oranges", "a paper boat",
        ],
        "place": ["a pine forest", "a market street", "the desert", "a harbour"],
        "light": ["at dawn", "in fog", "under neon"],
    ]

    /// Default sizes of the resolution sweep.
    public static let sizes = [
        "256x256", "384x384", "512x512", "768x768", "1024x1024", "1280x1280", "1536x1536",
        "832x1216", "1216x832",
    ].compactMap(ScenarioUnits.size)

    /// Default numbers of steps of the step sweep.
    public static let steps = [1, 2, 4, 6, 8, 9, 12, 16]

    /// One visit for each size and number of users, with `prompts` images for each user.
    public static func resolution(
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
    /// `reference` is the URL of a server in full precision, `nil` for the same server;
    /// `referenceSteps` is the number of steps that the model was trained for, 8 for Turbo.
    public static func steps(
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
    public static func precision(
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

    /// A visit of a sweep: all of them request the same prompts and seeds.
    private static func visit(
        _ key: String, _ mix: RequestMix, users: Int, limit: Int
    ) -> RunPlan.Visit {
        var visit = RunPlan.Visit(
            visit: LevelVisit(
                level: key, visit: 1, load: LoadModel(kind: .closed, users: users)),
            content: 0, mix: mix)
        visit.limit = limit
        visit.savesImages = true
        return visit
    }

    private static func digits(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
}
