// Part of Inkstone. Licence: see LICENSE.

import Yams

extension Price {
    /// Reads `{ energy: 0.30/kWh, machine: 2.50/h, currency: EUR }`.
    init(_ map: YAMLMap) throws(ScenarioError) {
        try map.allow(["energy", "machine", "currency"])
        self.init()
        kilowattHour = try Self.price(map, "energy", per: "/kWh")
        hour = try Self.price(map, "machine", per: "/h")
        guard kilowattHour != nil || hour != nil else {
            throw YAMLMap.error(map.node, "price needs energy, machine, or both.")
        }
        currency = try map.string("currency") ?? currency
    }

    private static func price(
        _ map: YAMLMap, _ key: String, per unit: String
    ) throws(ScenarioError) -> Double? {
        guard let node = map[key] else { return nil }
        return try YAMLMap.value(node, map.at(key), "a price such as 0.30\(unit)") { text in
            guard text.hasSuffix(unit), let value = Double(text.dropLast(unit.count)),
                value.isFinite, value >= 0
            else { return nil }
            return value
        }
    }

    /// The entry in a scenario file.
    var yaml: String {
        let parts = [
            kilowattHour.map { "energy: \($0)/kWh" }, hour.map { "machine: \($0)/h" },
            "currency: \(Scenario.quoted(currency))",
        ].compactMap(\.self)
        return "price: { \(parts.joined(separator: ", ")) }"
    }
}
