// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import LoadTesting

/// What the requests of a sweep ask for.
struct ContentOptions: ParsableArguments {
    @Option(help: "openai, openai-stream, xinference, a1111 or jobs.")
    var dialect = Dialect.openAIStream

    @Option(help: ArgumentHelp("Name of the model, where the server has several."))
    var model: String?

    @Option(help: ArgumentHelp("Size in pixels.", valueName: "WxH"))
    var size = "256x256"

    @Option(help: ArgumentHelp("Evaluations of the transformer.", valueName: "count"))
    var steps = 8

    @Option(help: ArgumentHelp("Guidance; 0 is none.", valueName: "g"))
    var guidance = 0.0

    @Option(help: ArgumentHelp("Previews asked for, 0 to 3.", valueName: "count"))
    var partialImages = 3

    mutating func validate() throws {
        guard ScenarioUnits.size(size) != nil else {
            throw ValidationError("--size must be such as 512x512, got '\(size)'.")
        }
        guard (1...1000).contains(steps), guidance >= 0, (0...3).contains(partialImages) else {
            throw ValidationError(
                "--steps must be 1 to 1000, --guidance at least 0, --partial-images 0 to 3.")
        }
    }

    /// A scenario with prompts of its own.
    func scenario(_ name: String) throws -> Scenario {
        guard let size = ScenarioUnits.size(size) else {
            throw ValidationError("--size must be such as 512x512, got '\(size)'.")
        }
        var mix = RequestMix(
            prompt: ScenarioText.prompt, sizes: [Weighted(size)])
        mix.keywords = ScenarioText.keywords
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

extension Dialect: ExpressibleByArgument {
    /// Reads the name of a dialect.
    public init?(argument: String) { self.init(rawValue: argument) }
}
