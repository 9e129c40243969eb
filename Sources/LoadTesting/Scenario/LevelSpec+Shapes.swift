// Part of Inkstone. Licence: see LICENSE.

import Yams

extension LevelSpec {
    /// The loads of an entry with a changing rate, a soak or a search, with the keys of their levels.
    var shapedLoads: [(LoadModel, String)] {
        switch self {
        case .shaped(let arrivals, let shape, let maximum):
            var load = LoadModel(kind: .open, arrivals: arrivals, maximumInFlight: maximum)
            load.profile = shape.points
            load.seconds = shape.points.last?.seconds
            return [(load, shape.key)]
        case .soak(let users, let rate, let seconds):
            var load =
                rate.map {
                    LoadModel(kind: .open, arrivals: .poisson, rate: $0, maximumInFlight: 256)
                } ?? LoadModel(kind: .closed, users: users)
            load.seconds = seconds
            return [(load, "soak")]
        case .search(let arrivals, let users, let levels, let maximum):
            var pilot = LoadModel(kind: .closed, users: users)
            pilot.isSearch = true
            var trial = LoadModel(kind: .open, arrivals: arrivals, maximumInFlight: maximum)
            trial.isSearch = true
            return [(pilot, "search-closed")]
                + (1..<max(2, levels)).map { (trial, "search-open-\($0)") }
        default: return []
        }
    }

    /// Reads an entry with a changing rate, a soak or a search.
    static func shaped(_ key: String, _ body: Node) throws(ScenarioError) -> LevelSpec {
        let map = try YAMLMap(body, "levels.\(key)")
        let open = ["arrivals", "max_in_flight"]
        let allowed = [
            "ramp": ["from", "to", "over"], "steps": ["rates", "each"],
            "spike": ["base", "peak", "for", "before", "after"], "soak": ["users", "rate", "for"],
            "search": ["users", "levels"],
        ]
        try map.allow((allowed[key] ?? []) + (key == "soak" ? [] : open))
        let arrivals = try map.word("arrivals", LoadModel.Arrivals.self) ?? .poisson
        guard arrivals != .gamma else {
            throw YAMLMap.error(body, "levels.\(key).arrivals must be constant or poisson.")
        }
        let maximum = try map.integer("max_in_flight", in: 1...10_000) ?? 256
        switch key {
        case "soak":
            let users = try map.integer("users", in: 1...10_000)
            let rate = map["rate"] == nil ? nil : try Self.rate(map, "rate")
            guard (users == nil) != (rate == nil) else {
                throw YAMLMap.error(body, "levels.soak needs either users or rate.")
            }
            return .soak(users: users, rate: rate, seconds: try seconds(map, "for"))
        case "search":
            return .search(
                arrivals: arrivals, users: try map.integer("users", in: 1...10_000) ?? 16,
                levels: try map.integer("levels", in: 3...100) ?? 8, maximumInFlight: maximum)
        default:
            return .shaped(
                arrivals: arrivals, shape: try shape(key, map), maximumInFlight: maximum)
        }
    }

    private static func shape(_ key: String, _ map: YAMLMap) throws(ScenarioError) -> LoadShape {
        switch key {
        case "ramp":
            return .ramp(
                from: try rate(map, "from"), to: try rate(map, "to"),
                seconds: try seconds(map, "over"))
        case "steps":
            guard let node = map["rates"] else {
                throw YAMLMap.error(map.node, "levels.steps.rates is missing.")
            }
            var rates: [Double] = []
            for item in YAMLMap.list(node) { rates.append(try rate(item, "levels.steps.rates")) }
            return .steps(rates: rates, seconds: try seconds(map, "each"))
        default:
            return .spike(
                base: try rate(map, "base"), peak: try rate(map, "peak"),
                seconds: try seconds(map, "for"), before: try seconds(map, "before"),
                after: try seconds(map, "after"))
        }
    }

    private static func rate(_ map: YAMLMap, _ key: String) throws(ScenarioError) -> Double {
        guard let node = map[key] else {
            throw YAMLMap.error(map.node, "\(map.at(key)) is missing.")
        }
        return try rate(node, map.at(key))
    }

    private static func rate(_ node: Node, _ path: String) throws(ScenarioError) -> Double {
        try YAMLMap.value(
            node, path, "requests a second, for instance 12.5/s", ScenarioUnits.rate)
    }

    private static func seconds(_ map: YAMLMap, _ key: String) throws(ScenarioError) -> Double {
        guard let node = map[key] else {
            throw YAMLMap.error(map.node, "\(map.at(key)) is missing.")
        }
        return try YAMLMap.value(node, map.at(key), "a time above 0, for instance 2m") { text in
            ScenarioUnits.duration(text).flatMap { $0 > 0 ? $0 : nil }
        }
    }

    /// The entry in a scenario file.
    var shapedYAML: String {
        switch self {
        case .shaped(let arrivals, let shape, let maximum):
            return "  - \(shape.yaml), arrivals: \(arrivals.rawValue), max_in_flight: \(maximum) }"
        case .soak(let users, let rate, let seconds):
            let load = rate.map { "rate: \($0)/s" } ?? "users: \(users ?? 1)"
            return "  - soak: { \(load), for: \(seconds)s }"
        case .search(let arrivals, let users, let levels, let maximum):
            return
                "  - search: { users: \(users), levels: \(levels), arrivals: \(arrivals.rawValue), "
                + "max_in_flight: \(maximum) }"
        default: return ""
        }
    }
}

extension LoadShape {
    /// Key of the level.
    fileprivate var key: String {
        switch self {
        case .ramp(let from, let to, _): "ramp-\(from)-\(to)"
        case .steps(let rates, _): "steps-" + rates.map { "\($0)" }.joined(separator: "-")
        case .spike(let base, let peak, _, _, _): "spike-\(base)-\(peak)"
        }
    }

    /// The entry in a scenario file, without its end.
    fileprivate var yaml: String {
        switch self {
        case .ramp(let from, let to, let seconds):
            return "ramp: { from: \(from)/s, to: \(to)/s, over: \(seconds)s"
        case .steps(let rates, let seconds):
            let list = rates.map { "\($0)/s" }.joined(separator: ", ")
            return "steps: { rates: [\(list)], each: \(seconds)s"
        case .spike(let base, let peak, let seconds, let before, let after):
            return
                "spike: { base: \(base)/s, peak: \(peak)/s, for: \(seconds)s, before: \(before)s, "
                + "after: \(after)s"
        }
    }
}
