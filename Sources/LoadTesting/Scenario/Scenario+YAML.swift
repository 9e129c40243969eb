// Part of Inkstone. Licence: see LICENSE.

import Foundation

extension Scenario {
    /// The scenario as the text of a scenario file, without `target.key`.
    ///
    /// Limits of visits, which only sweeps have, are not a part of it.
    public var yaml: String {
        let lines =
            ["version: 1", "name: \(name)"] + target.yaml + device.yaml + request.yaml
            + ["levels:"] + levels.map(\.yaml) + (levels.isEmpty ? ["  - single"] : [])
            + [
                "hold: \(hold)s", "max_hold: \(maximumHold)s",
                "settle: { min: \(settle.minimum)s, max: \(settle.maximum)s }",
                "cooldown: \(cooldown)s", "order: \(order.rawValue)", "repeat: \(repeats)",
                "seed: \(seed)",
            ] + objectiveLines + auditLines + (link.map { ["link: \($0 / 1e6)MB/s"] } ?? [])
            + (price.map { [$0.yaml] } ?? [])
        return lines.joined(separator: "\n") + "\n"
    }

    private var objectiveLines: [String] {
        let parts = [
            objectives.firstPreviewP95.map { "ttfp_p95: \($0)s" },
            objectives.endToEndP95.map { "e2e_p95: \($0)s" },
            objectives.errors.map { "errors: \(100 * $0)%" },
        ].compactMap(\.self)
        return parts.isEmpty ? [] : ["slo: { \(parts.joined(separator: ", ")) }"]
    }

    /// The limits that are not the defaults.
    private var auditLines: [String] {
        let defaults = AuditLimits()
        var parts: [String] = []
        if limits.logDeviation != defaults.logDeviation {
            parts.append("log_deviation: \(100 * limits.logDeviation)%")
        }
        if limits.metricsDeviation != defaults.metricsDeviation {
            parts.append("metrics_deviation: \(100 * limits.metricsDeviation)%")
        }
        if !limits.duplicatesFail { parts.append("duplicates: warn") }
        if limits.determinismTolerance != defaults.determinismTolerance {
            parts.append("determinism_tolerance: \(limits.determinismTolerance)")
        }
        if !probes { parts.append("probes: false") }
        return parts.isEmpty ? [] : ["audit: { \(parts.joined(separator: ", ")) }"]
    }

    /// A double-quoted scalar.
    static func quoted(_ text: String) -> String {
        let escaped = text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            .replacing("\n", with: "\\n").replacing("\t", with: "\\t")
        return "\"" + escaped + "\""
    }
}

extension Scenario.Target {
    fileprivate var yaml: [String] {
        let texts = [
            ("model", model), ("workflow", workflow), ("access_log", accessLog),
            ("metrics", metrics), ("ready", ready),
        ].compactMap { key, value in value.map { "  \(key): \(Scenario.quoted($0))" } }
        let choice: [String] =
            switch process {
            case .automatic: []
            case .none: ["  process: none"]
            case .id(let id): ["  process: \(id)"]
            case .port(let port): ["  process: port:\(port)"]
            }
        return ["target:", "  url: \(Scenario.quoted(url))", "  dialect: \(dialect.rawValue)"]
            + texts + choice
    }
}

extension Scenario.Device {
    fileprivate var yaml: [String] {
        ["device:", "  count: \(count)"]
            + [
                name.map { "  name: \(Scenario.quoted($0))" },
                operations.map { "  operations: \($0 / 1e9)GFLOP/s" },
                bandwidth.map { "  bandwidth: \($0 / 1e9)GB/s" },
            ].compactMap(\.self)
    }
}

extension RequestMix {
    fileprivate var yaml: [String] {
        var lines = ["request:", "  prompt: \(Scenario.quoted(prompt))"]
        if let negativePrompt {
            lines.append("  negative_prompt: \(Scenario.quoted(negativePrompt))")
        }
        if let prompts {
            let column = prompts.column.map { ", column: \(Scenario.quoted($0))" } ?? ""
            lines.append("  prompts: { file: \(Scenario.quoted(prompts.file))\(column) }")
        }
        // The words of the file are not part of the scenario.
        let own = keywords.filter { prompts == nil || $0.key != Self.promptSlot }
        if !own.isEmpty { lines.append("  keywords:") }
        for (name, words) in own.sorted(by: { $0.key < $1.key }) {
            lines.append("    \(name): [\(words.map(Scenario.quoted).joined(separator: ", "))]")
        }
        let sizes = sizes.map {
            "{ size: \($0.value.width)x\($0.value.height), weight: \($0.weight) }"
        }
        lines.append("  sizes: [\(sizes.joined(separator: ", "))]")
        let steps = steps.map { "{ steps: \($0.value), weight: \($0.weight) }" }
        lines.append("  steps: [\(steps.joined(separator: ", "))]")
        lines.append("  guidance: \(guidance)")
        if loras.contains(where: { $0.value != nil }) {
            let loras = loras.map { lora in
                let value = lora.value.map { "\(Scenario.quoted($0.name)), scale: \($0.scale)" }
                return "{ name: \(value ?? "none"), weight: \(lora.weight) }"
            }
            lines.append("  loras: [\(loras.joined(separator: ", "))]")
        }
        return lines + editLines + [
            "  partial_images: \(partialImages)", "  format: \(format)", "  timeout: \(timeout)s",
        ]
    }
}

extension LevelSpec {
    fileprivate var yaml: String {
        func list(_ values: [Int]) -> String { values.map(String.init).joined(separator: ", ") }
        switch self {
        case .single: return "  - single"
        case .closed(let users): return "  - closed: { users: [\(list(users))] }"
        case .offline(let batches): return "  - offline: { batch: [\(list(batches))] }"
        case .shaped, .soak, .search: return shapedYAML
        case .trace(let file): return "  - trace: { file: \(Scenario.quoted(file)) }"
        case .open(let arrivals, let rates, let shape, let maximum):
            // The reader takes the rates of one entry as all absolute or all relative.
            var isRelative = false
            let values = rates.map { rate -> String in
                switch rate {
                case .absolute(let value): return "\(value)/s"
                case .ofKnee(let share):
                    isRelative = true
                    return "\(100 * share)%"
                }
            }
            return
                "  - open: { arrivals: \(arrivals.rawValue), rate: [\(values.joined(separator: ", "))]"
                + (isRelative ? ", of: knee" : "") + (shape.map { ", shape: \($0)" } ?? "")
                + ", max_in_flight: \(maximum) }"
        }
    }
}
