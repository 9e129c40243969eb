// Part of Inkstone. Licence: see LICENSE.

import Foundation
import GRDB

// Stars: a user's favourites, whose jobs are kept although the limits of age and space do not allow it.

extension JobStore {
    /// Whether a row of the table `job` has a starred image.
    static let isStarred =
        "EXISTS (SELECT 1 FROM picture WHERE picture.job = job.number AND starred)"

    /// Gives a finished image a star, or takes it.
    ///
    /// - Returns: Whether there is such an image.
    /// - Throws: `JobStoreError`.
    package func star(
        _ index: Int, of name: String, _ isStarred: Bool, for access: JobAccess
    ) async throws -> Bool {
        try await write { db in
            guard let row = try Self.row(name, access, columns: "number", db) else { return false }
            try db.execute(
                sql: "UPDATE picture SET starred = ? WHERE job = ? AND number = ?",
                arguments: [isStarred, row["number"] as Int64, index])
            return db.changesCount > 0
        }
    }

    /// The conditions of a query on what its jobs have, with their arguments.
    static func filters(of query: JobQuery) -> [(sql: String, arguments: StatementArguments)] {
        var filters: [(sql: String, arguments: StatementArguments)] = []
        if let isStarred = query.isStarred {
            filters.append((isStarred ? Self.isStarred : "NOT \(Self.isStarred)", []))
        }
        if let model = query.model { filters.append(("model = ?", [model])) }
        if let lora = query.lora {
            filters.append(
                (
                    """
                    CASE WHEN json_valid(request) THEN EXISTS (
                        SELECT 1 FROM json_each(request, '$.loras')
                        WHERE json_extract(value, '$.name') = ?) END
                    """, [lora]
                ))
        }
        // A date that an answer had comes back rounded in its last bit.
        let rounding = 1e-6
        if let since = query.since {
            filters.append(("created >= ?", [since.timeIntervalSince1970 - rounding]))
        }
        if let until = query.until {
            filters.append(("created < ?", [until.timeIntervalSince1970 - rounding]))
        }
        return filters
    }
}
