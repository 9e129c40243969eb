// Part of Inkstone. Licence: see LICENSE.

import Yams

extension RequestMix {
    /// Requests that change an image.
    public struct Edits: Sendable, Equatable {
        /// Share of the requests that are edits, above 0 to 1.
        public var share = 1.0
        /// Sizes of the source images; empty for the size of each request.
        public var sizes: [Weighted<Size>] = []
        /// Shares of the area that masks leave to be generated again; `nil` is a request without a mask.
        public var masks: [Weighted<Double?>] = [Weighted(nil)]
        /// From 0, the source itself, to 1, an image from the prompt.
        public var strength = 0.6
        /// Number of different source images of each size.
        public var images = 8

        /// Creates edits of whole images.
        public init() {}
    }

    /// The ControlNet of requests.
    public struct Control: Sendable, Equatable {
        /// Name of the ControlNet at the server.
        public var model: String
        /// What makes its map, for instance `canny`; `none` for an image that is one already.
        public var type: String
        /// Strength of the ControlNet.
        public var scale = 1.0
        /// Share of the requests that apply it, above 0 to 1.
        public var share = 1.0

        /// Creates a ControlNet that all requests apply.
        public init(model: String, type: String) {
            self.model = model
            self.type = type
        }
    }

    /// Keys of this file in a scenario.
    static let editKeys = ["edits", "control", "turns"]

    /// Reads edits, the ControlNet and the number of turns.
    mutating func readEdits(_ map: YAMLMap) throws(ScenarioError) {
        if let node = map["edits"] { edits = try Edits(node) }
        if let node = map["control"] { control = try Control(node) }
        turns = try map.integer("turns", in: 1...100) ?? turns
    }

    /// The lines of this file in a scenario.
    var editLines: [String] {
        var lines: [String] = []
        if let edits {
            let sizes = edits.sizes.map {
                "{ size: \($0.value.width)x\($0.value.height), weight: \($0.weight) }"
            }
            let masks = edits.masks.map { mask in
                let area = mask.value.map { "\(100 * $0)%" } ?? "none"
                return "{ area: \(area), weight: \(mask.weight) }"
            }
            var parts = ["share: \(100 * edits.share)%"]
            if !sizes.isEmpty { parts.append("sizes: [\(sizes.joined(separator: ", "))]") }
            parts += [
                "masks: [\(masks.joined(separator: ", "))]", "strength: \(edits.strength)",
                "images: \(edits.images)",
            ]
            lines.append("  edits: { \(parts.joined(separator: ", ")) }")
        }
        if let control {
            lines.append(
                "  control: { model: \(Scenario.quoted(control.model)), type: \(control.type), scale: "
                    + "\(control.scale), share: \(100 * control.share)% }")
        }
        if turns > 1 { lines.append("  turns: \(turns)") }
        return lines
    }
}

extension RequestMix.Edits {
    fileprivate init(_ node: Node) throws(ScenarioError) {
        let map = try YAMLMap(node, "request.edits")
        try map.allow(["share", "sizes", "masks", "strength", "images"])
        self.init()
        share = try RequestMix.share(map) ?? share
        if let node = map["sizes"] { sizes = try RequestMix.sizes(node) }
        if let node = map["masks"] { masks = try Self.masks(node) }
        strength = try map.number("strength") ?? strength
        guard strength > 0, strength <= 1 else {
            throw YAMLMap.error(
                map["strength"] ?? node,
                "request.edits.strength must be above 0 and at most 1, found \(strength).")
        }
        images = try map.integer("images", in: 1...256) ?? images
    }

    /// `none`, a share of the area, or a list of them with weights.
    private static func masks(_ node: Node) throws(ScenarioError) -> [Weighted<Double?>] {
        var masks: [Weighted<Double?>] = []
        for item in YAMLMap.list(node) {
            let (value, weight) = try RequestMix.weighted(item, "area", "request.edits.masks")
            let text = try YAMLMap.string(value, "request.edits.masks")
            guard text != "none" else {
                masks.append(Weighted(nil, weight: weight))
                continue
            }
            guard let area = ScenarioUnits.share(text), area > 0, area <= 1 else {
                throw YAMLMap.error(
                    value,
                    "request.edits.masks must be none or a share of the area such as 25%, found '\(text)'."
                )
            }
            masks.append(Weighted(area, weight: weight))
        }
        return masks
    }
}

extension RequestMix.Control {
    fileprivate init(_ node: Node) throws(ScenarioError) {
        let map = try YAMLMap(node, "request.control")
        try map.allow(["model", "type", "scale", "share"])
        guard let model = try map.string("model") else {
            throw YAMLMap.error(node, "request.control needs model, the name of a ControlNet.")
        }
        self.init(model: model, type: try map.string("type") ?? "none")
        scale = try map.number("scale") ?? scale
        share = try RequestMix.share(map) ?? share
    }
}

extension RequestMix {
    /// The share of the requests, above 0 to 1.
    fileprivate static func share(_ map: YAMLMap) throws(ScenarioError) -> Double? {
        guard let node = map["share"] else { return nil }
        guard let share = try map.share("share"), share > 0, share <= 1 else {
            throw YAMLMap.error(node, "\(map.at("share")) must be above 0% and at most 100%.")
        }
        return share
    }
}
