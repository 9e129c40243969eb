// Part of Inkstone. Licence: see LICENSE.

/// A level of a closed loop, as input of the knee analysis.
public struct LoadPoint: Sendable, Equatable, Codable {
    /// Number of users.
    public var users: Int
    /// Images a second.
    public var throughput: Double
    /// Mean E2E in seconds.
    public var endToEnd: Double
    /// Variance of the throughput, if known.
    public var throughputVariance: Double?
    /// 95th percentile of E2E in seconds, if the sample is large enough.
    public var endToEndP95: Double?
    /// 95th percentile of the time to the first preview in seconds.
    public var firstPreviewP95: Double?
    /// Share of failed requests, 0 to 1.
    public var errorRate: Double?

    /// Creates a level.
    public init(users: Int, throughput: Double, endToEnd: Double) {
        self.users = users
        self.throughput = throughput
        self.endToEnd = endToEnd
    }
}

/// The result of one method for the saturation point.
public struct KneeAnswer: Sendable, Equatable, Codable {
    /// A method.
    public enum Method: String, Codable, Sendable, CaseIterable {
        case asymptotic, scalability, kneedle, power, objectives, marginal

        /// Name of the method.
        public var title: String {
            switch self {
            case .asymptotic: "asymptotic crossing"
            case .scalability: "universal scalability law"
            case .kneedle: "kneedle"
            case .power: "Kleinrock's power"
            case .objectives: "objectives"
            case .marginal: "marginal gain"
            }
        }

        /// Why the method may be wrong.
        public var caveat: String {
            switch self {
            case .asymptotic: "assumes that one user finds the server idle; errs to the left"
            case .scalability:
                "three parameters; does not see the scale, so a factor on all rates goes unseen"
            case .kneedle: "can only select a level that was measured"
            case .power: "weighs rate and time equally, which users may not"
            case .objectives: "is where the objectives are missed, not where the curve bends"
            case .marginal: "compares two levels at a time, so it is sensitive to noise"
            }
        }
    }

    /// The method.
    public var method: Method
    /// Number of users; absent when the method has no result.
    public var users: Double?
    /// Figures of the method, or why it has no result.
    public var note: String
}
