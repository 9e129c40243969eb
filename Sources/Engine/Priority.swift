// Part of Inkstone. Licence: see LICENSE.

/// The order among waiting requests; it does not affect the images.
public enum Priority: String, Sendable, Codable, CaseIterable, Comparable {
    case low, normal, high

    /// Whether `first` is lower than `second`.
    public static func < (first: Priority, second: Priority) -> Bool {
        first.rank < second.rank
    }

    private var rank: Int {
        switch self {
        case .low: 0
        case .normal: 1
        case .high: 2
        }
    }
}
