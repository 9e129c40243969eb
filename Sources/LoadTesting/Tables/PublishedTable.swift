// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// A published table of a load test, with the claims in the text around it.
public struct PublishedTable: Sendable, Equatable {
    /// A number as printed, with its decimals.
    public struct Printed: Sendable, Equatable {
        /// The number.
        public var value: Double
        /// Number of decimals printed.
        public var decimals: Int
        /// Half a unit of the last digit printed, in the unit of the value.
        public var rounding: Double

        /// Parses a number; `nil` for anything else.
        public init?(_ text: String) {
            guard let value = Double(text), value.isFinite else { return nil }
            self.value = value
            decimals = text.split(separator: ".").dropFirst().first?.count ?? 0
            rounding = 0.5 * pow(10, -Double(decimals))
        }

        /// The value in another unit, which is nearly linear over the rounding.
        func converted(to value: Double) -> Printed {
            var result = self
            result.value = value
            if self.value != 0 { result.rounding = abs(rounding / self.value * value) }
            return result
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
        /// Half a unit of its last digit in seconds.
        public var endToEndRounding = 0.0
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
        /// Half a unit of the last digit printed: the rounding of the claim, in images a second.
        public var rounding = 0.0
    }

    /// An upper limit claimed by the text around the table, for instance a first preview below 1.3 s.
    public struct LimitClaim: Sendable, Equatable {
        /// The column: ``ColumnMeaning/firstPreview``, ``ColumnMeaning/meanLatency`` or
        /// ``ColumnMeaning/errors``.
        public var meaning: ColumnMeaning
        /// Seconds, or percent for errors.
        public var limit: Double
        /// The words around it.
        public var text: String
    }

    /// A column or row that is not part of the audit, and why.
    public struct Omission: Sendable, Equatable {
        /// The title of the column, or the cells of the row.
        public var name: String
        /// A few words.
        public var reason: String
    }

    /// The levels, sorted by users.
    public var rows: [Row]
    /// The throughputs claimed.
    public var claims: [Claim] = []
    /// The limits claimed.
    public var limits: [LimitClaim] = []
    /// The maximum deviation claimed, as a share.
    public var claimedDeviation: Double?
    /// Seconds that each level was held.
    public var hold: Double?
    /// Steps of an image, if the text around the table names one number of them.
    public var steps: Int?
    /// The column titles.
    public var columns: [String] = []
    /// Columns and rows that were left out.
    public var omissions: [Omission] = []
    /// Whether the latencies are medians, because the table has no mean.
    public var hasMedians = false
    /// Model families named in the text that are not Z-Image, for instance `SDXL`.
    public var otherModels: [String] = []

    /// Whether several rows have the same number of users: the table has more than one series.
    public var isMixed: Bool { Set(rows.map(\.users)).count < rows.count }

    package init(rows: [Row]) { self.rows = rows.sorted { $0.users < $1.users } }
}
