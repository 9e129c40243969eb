// Part of Inkstone. Licence: see LICENSE.

/// Who goes first among requests that wait; it changes nothing of the pictures.
public enum Priority: String, Sendable, Codable, CaseIterable, Comparable {
    case low, normal, high

    /// Whether `first` gives way to `second`.
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
