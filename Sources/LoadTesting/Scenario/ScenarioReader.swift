// Part of Inkstone. Licence: see LICENSE.

import Basics
public import Foundation
import Yams

extension Scenario {
    /// Reads a scenario file.
    ///
    /// - Throws: `ScenarioError` when the file cannot be read, or with the line and column of a
    ///   fault; see ``init(yaml:environment:)``.
    public init(
        contentsOf file: URL,
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(ScenarioError) {
        guard let text = try? String(contentsOf: file, encoding: .utf8) else {
            throw ScenarioError("\(file.path) cannot be read; expected a scenario file.")
        }
        try self.init(yaml: text, environment: environment)
        let folder = file.deletingLastPathComponent()
        try request.readPrompts(relativeTo: folder)
        if let path = target.workflow {
            target.workflowNodes = try ComfyUIWorkflow(
                contentsOf: URL(filePath: path, relativeTo: folder))
        }
    }

    /// Parses the text of a scenario file.
    ///
    /// `${NAME}` and `${NAME:-default}` are replaced from `environment` first.
    ///
    /// - Throws: `ScenarioError` with the line and column of a fault: unknown keys, values of
    ///   another type, durations and sizes without units.
    public init(
        yaml text: String, environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(ScenarioError) {
        let text = try VariableSubstitution.apply(to: text, environment: environment)
        let root: Node
        do {
            guard let node = try Yams.compose(yaml: text) else {
                throw ScenarioError("the scenario is empty.")
            }
            root = node
        } catch {
            throw error as? ScenarioError ?? Self.syntaxError(error)
        }
        try self.init(try YAMLMap(root, ""))
    }

    /// Describes an error of the YAML parser in one sentence.
    private static func syntaxError(_ error: any Error) -> ScenarioError {
        switch error as? YamlError {
        case .scanner(_, let problem, let mark, _)?, .parser(_, let problem, let mark, _)?,
            .composer(_, let problem, let mark, _)?:
            return ScenarioError(
                "line \(mark.line), column \(mark.column): the file is not valid YAML: \(problem).")
        default:
            let text = String(describing: error).split(whereSeparator: \.isNewline)
            return ScenarioError("the file is not valid YAML: \(text.joined(separator: " "))")
        }
    }

    private init(_ root: YAMLMap) throws(ScenarioError) {
        try root.allow([
            "version", "name", "target", "device", "request", "levels", "hold", "max_hold",
            "settle", "cooldown", "order", "slo", "audit", "repeat", "seed", "link", "price",
        ])
        guard try root.integer("version", in: 1...1) != nil else {
            throw YAMLMap.error(root.node, "the scenario must begin with version: 1.")
        }
        guard let name = try root.string("name"),
            name.isPlainName(atMost: 80, notBeginningWith: ".")
        else {
            throw YAMLMap.error(
                root["name"] ?? root.node,
                "name must be letters, digits, '-', '_' and '.', as it becomes a folder's name.")
        }
        guard let target = try root.map("target"), let request = try root.map("request") else {
            throw YAMLMap.error(root.node, "the scenario must have target and request.")
        }
        guard let levels = root["levels"] else {
            throw YAMLMap.error(root.node, "the scenario must have levels.")
        }
        self.init(
            name: name, target: try Target(target), request: try RequestMix(request),
            levels: try LevelSpec.list(levels))
        if let device = try root.map("device") { self.device = try Device(device) }
        hold = try root.duration("hold") ?? hold
        maximumHold = max(hold, try root.duration("max_hold") ?? maximumHold)
        if let settle = try root.map("settle") {
            try settle.allow(["min", "max"])
            self.settle.minimum = try settle.duration("min") ?? self.settle.minimum
            self.settle.maximum = max(
                self.settle.minimum, try settle.duration("max") ?? self.settle.maximum)
        }
        cooldown = try root.duration("cooldown") ?? cooldown
        order = try root.word("order", Order.self) ?? order
        if let slo = try root.map("slo") {
            try slo.allow(["ttfp_p95", "e2e_p95", "errors"])
            objectives.firstPreviewP95 = try slo.duration("ttfp_p95")
            objectives.endToEndP95 = try slo.duration("e2e_p95")
            objectives.errors = try slo.share("errors")
        }
        if let audit = try root.map("audit") { try readAudit(audit) }
        repeats = try root.integer("repeat", in: 1...100) ?? repeats
        if let node = root["seed"] {
            seed = try YAMLMap.value(node, "seed", "a whole number from 0 to \(UInt64.max)") {
                UInt64($0)
            }
        }
        if let node = root["link"] {
            link = try YAMLMap.value(
                node, "link", "bytes a second, for instance 1Gbit/s or 100MB/s",
                ScenarioUnits.bandwidth)
        }
        if let map = try root.map("price") { price = try Price(map) }
    }

    private mutating func readAudit(_ audit: YAMLMap) throws(ScenarioError) {
        enum Duplicates: String, CaseIterable { case fail, warn }
        try audit.allow([
            "log_deviation", "metrics_deviation", "duplicates", "determinism_tolerance", "probes",
        ])
        limits.logDeviation = try audit.share("log_deviation") ?? limits.logDeviation
        limits.metricsDeviation = try audit.share("metrics_deviation") ?? limits.metricsDeviation
        limits.duplicatesFail = try audit.word("duplicates", Duplicates.self) != .warn
        limits.determinismTolerance =
            try audit.integer("determinism_tolerance", in: 0...255) ?? limits.determinismTolerance
        probes = try audit.flag("probes") ?? probes
    }
}

extension Scenario.Target {
    fileprivate init(_ map: YAMLMap) throws(ScenarioError) {
        try map.allow([
            "url", "dialect", "model", "key", "access_log", "metrics", "ready", "process",
            "workflow",
        ])
        guard let url = try map.string("url"), Self.isAddress(url) else {
            throw YAMLMap.error(
                map["url"] ?? map.node,
                "target.url must be a URL that begins with http:// or https://.")
        }
        self.init(url: url)
        dialect = try map.word("dialect", Dialect.self) ?? dialect
        model = try map.string("model").flatMap { $0.isEmpty ? nil : $0 }
        workflow = try map.string("workflow")
        guard workflow == nil || dialect == .comfyUI else {
            throw YAMLMap.error(
                map["workflow"] ?? map.node, "target.workflow is for the dialect comfyui.")
        }
        key = try map.string("key").flatMap { $0.isEmpty ? nil : $0 }
        accessLog = try map.string("access_log").flatMap { $0.isEmpty ? nil : $0 }
        metrics = try map.string("metrics").flatMap { $0.isEmpty ? nil : $0 }
        ready = try map.string("ready").flatMap { $0.isEmpty ? nil : $0 }
        if let node = map["process"] {
            process = try YAMLMap.value(
                node, "target.process", "auto, none, a process id, or port:9997",
                Scenario.ProcessChoice.init(text:))
        }
    }

    /// Whether a text is an `http` or `https` URL with a host.
    package static func isAddress(_ text: String) -> Bool {
        guard let url = URL(string: text) else { return false }
        return ["http", "https"].contains(url.scheme ?? "") && url.host?.isEmpty == false
    }
}

extension Scenario.ProcessChoice {
    /// Parses `auto`, `none`, a process id, or `port:9997`.
    package init?(text: String) {
        switch text {
        case "auto": self = .automatic
        case "none": self = .none
        default:
            let isPort = text.hasPrefix("port:")
            guard let number = Int(isPort ? text.dropFirst(5) : text[...]) else { return nil }
            self = isPort ? .port(number) : .id(number)
        }
    }
}

extension Scenario.Device {
    fileprivate init(_ map: YAMLMap) throws(ScenarioError) {
        try map.allow(["name", "count", "operations", "bandwidth"])
        self.init()
        name = try map.string("name")
        count = try map.integer("count", in: 1...100_000) ?? count
        if let node = map["operations"] {
            operations = try YAMLMap.value(
                node, "device.operations", "a rate such as 300GFLOP/s or 989TFLOP/s",
                ScenarioUnits.operations)
        }
        if let node = map["bandwidth"] {
            bandwidth = try YAMLMap.value(
                node, "device.bandwidth", "a rate such as 12GB/s", ScenarioUnits.bandwidth)
        }
    }
}
