// Part of Inkstone. Licence: see LICENSE.

/// A published table of a load test, with the claims in the text around it.
public struct PublishedTable: Sendable, Equatable {
    /// A number as printed, with its decimals.
    public struct Printed: Sendable, Equatable {
        /// The number.
        public var value: Double
        /// Number of decimals printed.
        public var decimals: Int

        /// Parses a number; `nil` for anything else.
        public init?(_ text: String) {
            guard let value = Double(text), value.isFinite else { return nil }
            self.value = value
            decimals = text.split(separator: ".").dropFirst().first?.count ?? 0
        }
    }

    /// A level.
    public struct Row: Sendable, Equatable {
        /// Number of users.
        public var users: Int
        /// Images a second.
        public var throughput: Printed
        /// Mean latency in seconds.
        public var endToEnd: Double
        /// Mean time to the first preview in seconds.
        public var firstPreview: Double?
        /// Failed requests in percent.
        public var errors: Printed?
        /// Gigabytes.
        public var memory: Double?
        /// Bytes of a response.
        public var answerBytes: Double?
    }

    /// A throughput claimed by the text around the table.
    public struct Claim: Sendable, Equatable {
        /// Images a second.
        public var value: Double
        /// The words around it.
        public var text: String
    }

    /// The levels, sorted by users.
    public var rows: [Row]
    /// The throughputs claimed.
    public var claims: [Claim] = []
    /// The maximum deviation claimed, as a share.
    public var claimedDeviation: Double?
    /// Seconds that each level was held.
    public var hold: Double?
    /// The column titles.
    public var columns: [String] = []

    package init(rows: [Row]) { self.rows = rows.sorted { $0.users < $1.users } }
}
