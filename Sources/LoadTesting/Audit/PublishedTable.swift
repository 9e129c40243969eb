// Part of Inkstone. Licence: see LICENSE.

/// A table of a load test as somebody published it, with what was said around it.
package struct PublishedTable: Sendable, Equatable {
    /// A number as printed, with its decimals.
    package struct Printed: Sendable, Equatable {
        package var value: Double
        package var decimals: Int

        /// Reads digits with an optional point; `nil` for anything else.
        package init?(_ text: String) {
            guard let value = Double(text), value.isFinite else { return nil }
            self.value = value
            decimals = text.split(separator: ".").dropFirst().first?.count ?? 0
        }
    }

    /// A level.
    package struct Row: Sendable, Equatable {
        package var users: Int
        /// Images a second.
        package var throughput: Printed
        /// Seconds.
        package var endToEnd: Double
        /// Seconds.
        package var firstPreview: Double?
        /// Percent.
        package var errors: Printed?
        /// Gigabytes.
        package var memory: Double?
        /// Bytes of an answer.
        package var answerBytes: Double?
    }

    /// A number that a headline claims to be the throughput.
    package struct Claim: Sendable, Equatable {
        package var value: Double
        /// The words around it.
        package var text: String
    }

    package var rows: [Row]
    package var claims: [Claim] = []
    /// A deviation that is claimed not to be exceeded, as a share.
    package var claimedDeviation: Double?
    /// Seconds that each level was held.
    package var hold: Double?
    /// Columns that the table has, in its own words.
    package var columns: [String] = []

    package init(rows: [Row]) { self.rows = rows.sorted { $0.users < $1.users } }
}
