// Part of Inkstone. Licence: see LICENSE.

/// A level of a closed loop as the knee analysis sees it.
package struct LoadPoint: Sendable, Equatable, Codable {
    package var users: Int
    /// Images a second.
    package var throughput: Double
    /// Mean E2E in seconds.
    package var endToEnd: Double
    /// Variance of the throughput, where it is known.
    package var throughputVariance: Double?
    /// 95th percentile of E2E in seconds, where the sample carries it.
    package var endToEndP95: Double?
    /// The same of the time to the first preview.
    package var firstPreviewP95: Double?
    /// Share of failed requests, 0 to 1.
    package var errorRate: Double?

    package init(users: Int, throughput: Double, endToEnd: Double) {
        self.users = users
        self.throughput = throughput
        self.endToEnd = endToEnd
    }
}

/// What one method says about where a server saturates.
package struct KneeAnswer: Sendable, Equatable, Codable {
    package enum Method: String, Codable, Sendable, CaseIterable {
        case asymptotic, scalability, kneedle, power, objectives, marginal

        /// Its name for people.
        package var title: String {
            switch self {
            case .asymptotic: "asymptotic crossing"
            case .scalability: "universal scalability law"
            case .kneedle: "kneedle"
            case .power: "Kleinrock's power"
            case .objectives: "objectives"
            case .marginal: "marginal gain"
            }
        }

        /// Why it may be wrong.
        package var caveat: String {
            switch self {
            case .asymptotic: "assumes that one user finds the server empty; errs to the left"
            case .scalability:
                "three parameters; does not see the scale, so a factor on all rates goes unseen"
            case .kneedle: "can only name a level that was measured"
            case .power: "weighs rate and time alike, which users need not"
            case .objectives: "says where it stops being good enough, not where the curve bends"
            case .marginal: "looks at one pair of levels at a time, so noise moves it"
            }
        }
    }

    package var method: Method
    /// Users; absent where the method has no answer.
    package var users: Double?
    /// Figures of the method, or why it has no answer.
    package var note: String
}
