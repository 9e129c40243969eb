// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// The scenario of a sweep as a file, so that its result can be made again with `imgbench run`.
package enum ScenarioText {
    /// The prompt of sweeps.
    package static let prompt = "{style} photo of {subject} in {place}, {light}"
    package static let keywords = [
        "style": ["studio", "film", "macro", "aerial", "documentary"],
        "subject": [
            "a red fox", "a ceramic teapot", "an old lighthouse", "a green bicycle",
            "a sleeping cat", "a bowl of oranges", "a paper boat",
        ],
        "place": ["a pine forest", "a market street", "the desert", "a harbour"],
        "light": ["at dawn", "in fog", "under neon"],
    ]

    /// YAML that reads back as the scenario, but for limits of visits that only sweeps have.
    package static func describe(_ scenario: Scenario) -> String {
        let mix = scenario.request
        var lines = ["version: 1", "name: \(scenario.name)", "target:"]
        lines.append("  url: \(quoted(scenario.target.url))")
        lines.append("  dialect: \(scenario.target.dialect.rawValue)")
        for (key, value) in [
            ("model", scenario.target.model), ("access_log", scenario.target.accessLog),
            ("metrics", scenario.target.metrics), ("ready", scenario.target.ready),
        ] {
            if let value { lines.append("  \(key): \(quoted(value))") }
        }
        lines.append("device:")
        lines.append("  count: \(scenario.device.count)")
        if let name = scenario.device.name { lines.append("  name: \(quoted(name))") }
        if let rate = scenario.device.operations {
            lines.append("  operations: \(rate / 1e9)GFLOP/s")
        }
        if let rate = scenario.device.bandwidth { lines.append("  bandwidth: \(rate / 1e9)GB/s") }
        lines.append("request:")
        lines.append("  prompt: \(quoted(mix.prompt))")
        if let negative = mix.negativePrompt {
            lines.append("  negative_prompt: \(quoted(negative))")
        }
        if !mix.keywords.isEmpty { lines.append("  keywords:") }
        for (name, words) in mix.keywords.sorted(by: { $0.key < $1.key }) {
            lines.append("    \(name): [\(words.map(quoted).joined(separator: ", "))]")
        }
        let sizes = mix.sizes.map {
            "{ size: \($0.value.width)x\($0.value.height), weight: \($0.weight) }"
        }
        lines.append("  sizes: [\(sizes.joined(separator: ", "))]")
        let steps = mix.steps.map { "{ steps: \($0.value), weight: \($0.weight) }" }
        lines.append("  steps: [\(steps.joined(separator: ", "))]")
        lines.append("  guidance: \(mix.guidance)")
        lines.append("  partial_images: \(mix.partialImages)")
        lines.append("  format: \(mix.format)")
        lines.append("  timeout: \(mix.timeout)s")
        lines.append("levels:")
        for level in scenario.levels {
            if case .closed(let users) = level {
                lines.append(
                    "  - closed: { users: [\(users.map(String.init).joined(separator: ", "))] }")
            }
        }
        if scenario.levels.isEmpty { lines.append("  - single") }
        lines.append("hold: \(scenario.hold)s")
        lines.append("max_hold: \(scenario.maximumHold)s")
        lines.append(
            "settle: { min: \(scenario.settle.minimum)s, max: \(scenario.settle.maximum)s }")
        lines.append("cooldown: \(scenario.cooldown)s")
        lines.append("order: \(scenario.order.rawValue)")
        lines.append("repeat: \(scenario.repeats)")
        lines.append("seed: \(scenario.seed)")
        return lines.joined(separator: "\n") + "\n"
    }

    /// A double-quoted scalar.
    private static func quoted(_ text: String) -> String {
        "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }
}
