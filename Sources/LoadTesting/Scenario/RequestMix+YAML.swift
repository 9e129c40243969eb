// Part of Inkstone. Licence: see LICENSE.

import Yams

extension RequestMix {
    init(_ map: YAMLMap) throws(ScenarioError) {
        let keys = [
            "prompt", "prompts", "negative_prompt", "keywords", "size", "sizes", "steps",
            "guidance", "loras", "partial_images", "format", "timeout",
        ]
        try map.allow(keys + Self.editKeys)
        let prompts = try Self.prompts(map)
        guard let prompt = try map.string("prompt") ?? prompts.map({ _ in "{prompt}" }) else {
            throw YAMLMap.error(map.node, "request.prompt is missing.")
        }
        guard let sizes = map["sizes"] ?? map["size"] else {
            throw YAMLMap.error(map.node, "request.sizes is missing.")
        }
        self.init(prompt: prompt, sizes: try Self.sizes(sizes))
        negativePrompt = try map.string("negative_prompt")
        if let words = try map.map("keywords") {
            for (key, node) in words.mapping {
                let name = try YAMLMap.string(key, "request.keywords")
                var list: [String] = []
                for word in YAMLMap.list(node) {
                    list.append(try YAMLMap.string(word, "request.keywords.\(name)"))
                }
                guard !list.isEmpty else {
                    throw YAMLMap.error(node, "request.keywords.\(name) has no words.")
                }
                keywords[name] = list
            }
        }
        self.prompts = prompts
        if prompts != nil, keywords[Self.promptSlot] != nil {
            throw YAMLMap.error(
                map.node, "request.keywords.prompt is the slot that request.prompts fills.")
        }
        do {
            // The file is read with the scenario's folder, after the scenario.
            let slot = prompts.map { _ in [Self.promptSlot: ["a prompt"]] } ?? [:]
            _ = try PromptTemplate(prompt, keywords: keywords.merging(slot) { first, _ in first })
        } catch {
            throw YAMLMap.error(map["prompt"] ?? map.node, error.description)
        }
        if let node = map["steps"] { steps = try Self.steps(node) }
        guidance = try map.number("guidance") ?? guidance
        if let node = map["loras"] { loras = try Self.loras(node) }
        try readEdits(map)
        partialImages = try map.integer("partial_images", in: 0...3) ?? partialImages
        enum Format: String, CaseIterable { case png, jpeg, webp }
        format = try map.word("format", Format.self)?.rawValue ?? format
        timeout = try map.duration("timeout") ?? timeout
        guard timeout > 0 else {
            throw YAMLMap.error(map["timeout"] ?? map.node, "request.timeout must not be 0.")
        }
    }

    /// The path of a file with prompts, or its path and column.
    private static func prompts(_ map: YAMLMap) throws(ScenarioError) -> PromptFile? {
        guard let node = map["prompts"] else { return nil }
        if let file = node.scalar?.string { return PromptFile(file: file) }
        let map = try YAMLMap(node, "request.prompts")
        try map.allow(["file", "column"])
        guard let file = try map.string("file") else {
            throw YAMLMap.error(node, "request.prompts needs file.")
        }
        return PromptFile(file: file, column: try map.string("column"))
    }

    /// `512x512`, a list of sizes, or a list with weights.
    static func sizes(_ node: Node) throws(ScenarioError) -> [Weighted<Size>] {
        var sizes: [Weighted<Size>] = []
        for item in YAMLMap.list(node) {
            let (value, weight) = try weighted(item, "size", "request.sizes")
            let size = try YAMLMap.value(
                value, "request.sizes", "a size in pixels, for instance 512x768",
                ScenarioUnits.size)
            sizes.append(Weighted(size, weight: weight))
        }
        return sizes
    }

    private static func steps(_ node: Node) throws(ScenarioError) -> [Weighted<Int>] {
        var steps: [Weighted<Int>] = []
        for item in YAMLMap.list(node) {
            let (value, weight) = try weighted(item, "steps", "request.steps")
            steps.append(
                Weighted(
                    try YAMLMap.integer(value, "request.steps", in: 1...1000), weight: weight))
        }
        return steps
    }

    private static func loras(_ node: Node) throws(ScenarioError) -> [Weighted<LoRA?>] {
        var loras: [Weighted<LoRA?>] = []
        for item in YAMLMap.list(node) {
            guard item.mapping != nil else {
                let name = try YAMLMap.string(item, "request.loras")
                loras.append(Weighted(name == "none" ? nil : LoRA(name: name, scale: 1)))
                continue
            }
            let map = try YAMLMap(item, "request.loras")
            try map.allow(["name", "scale", "weight"])
            guard let name = try map.string("name") else {
                throw YAMLMap.error(item, "request.loras needs a name; 'none' stands for no LoRA.")
            }
            let lora = LoRA(name: name, scale: try map.number("scale") ?? 1)
            loras.append(
                Weighted(name == "none" ? nil : lora, weight: try weight(map, item)))
        }
        return loras
    }

    /// A plain value of weight 1, or a mapping with a weight.
    static func weighted(
        _ item: Node, _ key: String, _ path: String
    ) throws(ScenarioError) -> (Node, Double) {
        guard item.mapping != nil else { return (item, 1) }
        let map = try YAMLMap(item, path)
        try map.allow([key, "weight"])
        guard let value = map[key] else { throw YAMLMap.error(item, "\(path) needs \(key).") }
        return (value, try weight(map, item))
    }

    private static func weight(_ map: YAMLMap, _ item: Node) throws(ScenarioError) -> Double {
        let weight = try map.number("weight") ?? 1
        guard weight > 0 else { throw YAMLMap.error(item, "a weight must be above 0.") }
        return weight
    }
}

extension LevelSpec {
    static func list(_ node: Node) throws(ScenarioError) -> [LevelSpec] {
        guard let items = node.sequence, !items.isEmpty else {
            throw YAMLMap.error(
                node, "levels must be a list such as - closed: { users: [1, 2, 4] }.")
        }
        var specs: [LevelSpec] = []
        for item in items { specs.append(try LevelSpec(item)) }
        return specs
    }

    private init(_ node: Node) throws(ScenarioError) {
        if node.scalar?.string == "single" {
            self = .single
            return
        }
        let map = try YAMLMap(node, "levels")
        try map.allow([
            "closed", "open", "offline", "trace", "single", "ramp", "steps", "spike", "soak",
            "search",
        ])
        guard map.mapping.count == 1, let (key, body) = map.mapping.first else {
            throw YAMLMap.error(node, "each of levels must have one key.")
        }
        switch key.string {
        case "closed":
            let map = try YAMLMap(body, "levels.closed")
            try map.allow(["users"])
            self = .closed(users: try Self.counts(map, "users"))
        case "offline":
            let map = try YAMLMap(body, "levels.offline")
            try map.allow(["batch"])
            self = .offline(batches: try Self.counts(map, "batch"))
        case "trace":
            let map = try YAMLMap(body, "levels.trace")
            try map.allow(["file"])
            guard let file = try map.string("file") else {
                throw YAMLMap.error(body, "levels.trace needs file.")
            }
            self = .trace(file: file)
        case "open": self = try Self.open(try YAMLMap(body, "levels.open"))
        case "ramp", "steps", "spike", "soak", "search":
            self = try Self.shaped(key.string ?? "", body)
        default: self = .single
        }
    }

    private static func counts(
        _ map: YAMLMap, _ key: String
    ) throws(ScenarioError) -> [Int] {
        guard let node = map[key] else {
            throw YAMLMap.error(map.node, "\(map.at(key)) is missing.")
        }
        var counts: [Int] = []
        for item in YAMLMap.list(node) {
            counts.append(try YAMLMap.integer(item, map.at(key), in: 1...10_000))
        }
        return counts
    }

    private static func open(_ map: YAMLMap) throws(ScenarioError) -> LevelSpec {
        enum Base: String, CaseIterable { case knee }
        try map.allow(["arrivals", "rate", "of", "shape", "max_in_flight"])
        let isShare = try map.word("of", Base.self) != nil
        guard let node = map["rate"] else {
            throw YAMLMap.error(map.node, "levels.open.rate is missing.")
        }
        var rates: [Rate] = []
        for item in YAMLMap.list(node) {
            if isShare {
                rates.append(
                    .ofKnee(
                        try YAMLMap.value(
                            item, "levels.open.rate", "a share of the knee, for instance 80%",
                            ScenarioUnits.share)))
            } else {
                rates.append(
                    .absolute(
                        try YAMLMap.value(
                            item, "levels.open.rate", "requests a second, for instance 12.5/s",
                            ScenarioUnits.rate)))
            }
        }
        let arrivals = try map.word("arrivals", LoadModel.Arrivals.self) ?? .poisson
        let shape = try map.number("shape")
        guard arrivals != .gamma || shape.map({ $0 > 0 }) == true else {
            throw YAMLMap.error(map.node, "gamma arrivals need a shape above 0.")
        }
        return .open(
            arrivals: arrivals, rates: rates, shape: shape,
            maximumInFlight: try map.integer("max_in_flight", in: 1...10_000) ?? 256)
    }
}
