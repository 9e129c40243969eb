// Part of Inkstone. Licence: see LICENSE.

import Foundation
import GRDB

extension JobStore {
    /// The PNG file of that name, if it is kept.
    public func file(named name: String) -> [UInt8]? { files.read(name) }

    /// The job of an id, or of a request id: then the newest.
    public func job(_ id: String) async throws -> Job? {
        try await read { db in
            try Row.fetchOne(
                db,
                sql: """
                    SELECT * FROM job WHERE id = ?1 OR requestID = ?1
                    ORDER BY id = ?1 DESC, number DESC LIMIT 1
                    """, arguments: [id]
            ).map { try JobRow.job($0, db, withSource: true) }
        }
    }

    /// The jobs of a query, the newest first, without the pixels of their sources.
    public func jobs(_ query: JobQuery) async throws -> [Job] {
        try await read { db in
            var conditions = ["1"]
            var arguments = StatementArguments()
            if !query.states.isEmpty {
                conditions.append(
                    "state IN (\(query.states.map { "'\($0.rawValue)'" }.joined(separator: ",")))")
            }
            if let owner = query.owner {
                conditions.append("owner = ?")
                arguments += [owner]
            }
            if let isGivenUp = query.isGivenUp {
                conditions.append("givenUp = ?")
                arguments += [isGivenUp]
            }
            if let text = query.text {
                conditions.append("instr(lower(prompt), lower(?)) > 0")
                arguments += [text]
            }
            if let before = query.before {
                conditions.append("number < (SELECT number FROM job WHERE id = ?)")
                arguments += [before]
            }
            arguments += [query.limit]
            return try Row.fetchAll(
                db,
                sql: "SELECT * FROM job WHERE \(conditions.joined(separator: " AND "))"
                    + " ORDER BY number DESC LIMIT ?", arguments: arguments
            ).map { try JobRow.job($0, db) }
        }
    }

    /// Jobs that are not final, the oldest first; what cannot be read any longer fails.
    package func unfinished() async throws -> [Job] {
        try await write { db in
            let rows = try Row.fetchAll(
                db, sql: "SELECT * FROM job WHERE state IN ('queued', 'running') ORDER BY number")
            var jobs: [Job] = []
            for row in rows {
                do {
                    jobs.append(try JobRow.job(row, db, withSource: true))
                } catch is DecodingError {
                    try db.execute(
                        sql: "UPDATE job SET state = 'failed', finished = ?, failure = ?"
                            + " WHERE number = ?",
                        arguments: [
                            Date().timeIntervalSince1970, "The stored request cannot be read.",
                            row["number"] as Int64,
                        ])
                }
            }
            return jobs
        }
    }
}
