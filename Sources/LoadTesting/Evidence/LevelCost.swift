// Part of Inkstone. Licence: see LICENSE.

/// What an image of a level costs.
public struct LevelCost: Codable, Sendable, Equatable {
    /// Mean power over the hold in watts.
    public var watts: Double?
    /// Sources of the power.
    public var sources: [String]?
    /// Joules for each valid image.
    public var joulesPerImage: Double?
    /// Money for each valid image: the energy, and the machine's time.
    public var moneyPerImage: Double?
    /// The currency.
    public var currency: String?

    /// Computes the cost of a level; `nil` when neither power nor a price for the machine is known.
    init?(_ level: LevelEvidence, price: Price?) {
        guard let rate = level.figures?.throughput.value, rate > 0 else { return nil }
        let resources = level.result?.resources
        watts = resources?.power
        sources = resources?.powerSources
        joulesPerImage = watts.map { $0 / rate }
        var money: Double?
        if let joules = joulesPerImage, let kilowattHour = price?.kilowattHour {
            money = joules / 3.6e6 * kilowattHour
        }
        if let hour = price?.hour { money = (money ?? 0) + hour / 3600 / rate }
        moneyPerImage = money
        currency = money == nil ? nil : price?.currency
        guard watts != nil || money != nil else { return nil }
    }
}

extension LevelEvidence {
    /// What an image of the level costs; `nil` when it is not known.
    func cost(_ manifest: Manifest) -> LevelCost? { LevelCost(self, price: manifest.price) }
}
