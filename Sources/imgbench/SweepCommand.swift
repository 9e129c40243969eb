// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import LoadTesting

/// `imgbench sweep`: a run that varies one parameter, without a scenario file.
struct SweepCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sweep", abstract: "Vary users, size, steps or precision.")

    @Argument(help: "What to vary: concurrency, resolution, steps or precision.")
    var kind: Manifest.Sweep

    @OptionGroup var options: RunOptions
    @OptionGroup var content: ContentOptions

    @Option(
        help: ArgumentHelp(
            "Values: users, sizes (512x512) or steps, separated by commas.", valueName: "list"))
    var levels: String?

    @Option(
        help: ArgumentHelp(
            "Numbers of users of a resolution sweep, separated by commas.", valueName: "list"))
    var users = "1"

    @Option(
        help: ArgumentHelp(
            "Number of images of each value; not for concurrency.",
            valueName: "count"))
    var prompts = 16

    @Option(
        help: ArgumentHelp(
            "Server in full precision for the reference of a step sweep.",
            valueName: "url"))
    var reference: String?

    @Option(
        help: ArgumentHelp(
            "Steps of the reference: those that the model was trained for.", valueName: "count"))
    var referenceSteps = 8

    @Option(
        help: ArgumentHelp(
            "A server of a precision sweep, for instance bf16=http://127.0.0.1:9998; the first is"
                + " the reference.", valueName: "name=url"))
    var server: [String] = []

    mutating func validate() throws {
        guard prompts >= 1 else {
            throw ValidationError("--prompts must be at least 1, got \(prompts).")
        }
        switch kind {
        case .precision:
            guard try servers().count >= 2 else {
                throw ValidationError(
                    "A precision sweep requires --server at least twice: name=url, the reference first."
                )
            }
            guard levels == nil else {
                throw ValidationError("--levels has no meaning in a precision sweep.")
            }
        case .resolution:
            _ = try sizes()
            _ = try numbers(users)
        case .concurrency, .steps:
            if let levels { _ = try numbers(levels) }
        }
        if kind != .precision, !server.isEmpty {
            throw ValidationError("--server is for precision sweeps; use --target.")
        }
        if kind != .steps, reference != nil {
            throw ValidationError("--reference is for step sweeps.")
        }
    }

    func run() async throws {
        var scenario = try content.scenario("sweep-" + kind.rawValue)
        if kind == .precision { scenario.target.url = try servers()[0].url }
        try options.apply(to: &scenario)
        let plan: RunPlan
        switch kind {
        case .concurrency:
            scenario.levels = [.closed(users: try numbers(levels ?? "1,2,4,8,12,16,24,32"))]
            plan = try Perform.plan(scenario)
        case .resolution:
            plan = SweepPlan.resolution(
                scenario, sizes: try sizes(), users: try numbers(users), prompts: prompts)
        case .steps:
            plan = SweepPlan.steps(
                scenario, steps: try levels.map(numbers) ?? SweepPlan.steps, prompts: prompts,
                reference: reference, referenceSteps: referenceSteps)
        case .precision:
            plan = SweepPlan.precision(scenario, servers: try servers(), prompts: prompts)
        }
        try await Perform.run(
            plan, out: options.out, sweep: kind)
    }

    private func numbers(_ list: String) throws -> [Int] {
        try list.split(separator: ",", omittingEmptySubsequences: false).map { text in
            guard let number = Int(text), (1...10_000).contains(number) else {
                throw ValidationError(
                    "Expected whole numbers from 1 to 10000 separated by commas, got '\(list)'.")
            }
            return number
        }
    }

    private func sizes() throws -> [RequestMix.Size] {
        guard let levels else { return SweepPlan.sizes }
        return try levels.split(separator: ",").map { text in
            guard let size = ScenarioUnits.size(String(text)) else {
                throw ValidationError("Expected sizes such as 512x512,832x1216, got '\(levels)'.")
            }
            return size
        }
    }

    private func servers() throws -> [(name: String, url: String)] {
        try server.map { text in
            let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2, Scenario.Target.isAddress(parts[1]),
                parts[0].allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber) })
            else {
                throw ValidationError(
                    "--server must be a name and a URL, for instance"
                        + " bf16=http://127.0.0.1:9998, got '\(text)'.")
            }
            return (parts[0], parts[1])
        }
    }
}
