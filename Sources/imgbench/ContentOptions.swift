// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import LoadTesting

/// Options for the requests of a sweep.
struct ContentOptions: ParsableArguments {
    @Option(help: "Interface of the server.")
    var dialect = Dialect.openAIStream

    @Option(help: ArgumentHelp("Name of the model, for servers with several."))
    var model: String?

    @Option(help: ArgumentHelp("Size in pixels.", valueName: "WxH"))
    var size = "256x256"

    @Option(help: ArgumentHelp("Steps of an image.", valueName: "count"))
    var steps = 8

    @Option(help: ArgumentHelp("Guidance scale; 0 disables guidance.", valueName: "g"))
    var guidance = 0.0

    @Option(help: ArgumentHelp("Number of previews, 0 to 3.", valueName: "count"))
    var partialImages = 3

    mutating func validate() throws {
        guard ScenarioUnits.size(size) != nil else {
            throw ValidationError("--size must be a size such as 512x512, got '\(size)'.")
        }
        guard (1...1000).contains(steps) else {
            throw ValidationError("--steps must be in 1...1000, got \(steps).")
        }
        guard guidance >= 0, guidance.isFinite else {
            throw ValidationError("--guidance must be at least 0, got \(guidance).")
        }
        guard (0...3).contains(partialImages) else {
            throw ValidationError("--partial-images must be in 0...3, got \(partialImages).")
        }
    }

    /// Creates a scenario with the prompts of sweeps.
    func scenario(_ name: String) throws -> Scenario {
        guard let size = ScenarioUnits.size(size) else {
            throw ValidationError("--size must be a size such as 512x512, got '\(size)'.")
        }
        var mix = RequestMix(
            prompt: SweepPlan.prompt, sizes: [Weighted(size)])
        mix.keywords = SweepPlan.keywords
        mix.steps = [Weighted(steps)]
        mix.guidance = guidance
        mix.partialImages = partialImages
        var target = Scenario.Target(url: "http://127.0.0.1:9997")
        target.dialect = dialect
        target.model = model
        target.metrics = "/metrics"
        return Scenario(name: name, target: target, request: mix, levels: [])
    }
}
