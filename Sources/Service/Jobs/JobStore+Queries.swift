// Part of Inkstone. Licence: see LICENSE.

import Foundation
import GRDB

extension JobStore {
    /// Whether a job of the access has the image file of that name.
    package func hasFile(named name: String, for access: JobAccess) async throws -> Bool {
        try await read { db in
            let owner = access.condition
            return try Row.fetchOne(
                db,
                sql: """
                    SELECT 1 FROM picture JOIN job ON job.number = picture.job
                    WHERE picture.file = ? AND \(owner.sql) LIMIT 1
                    """, arguments: [name] + owner.arguments) != nil
        }
    }

    /// The job of a name: an id, or the id of a call.
    public func job(_ name: String, for access: JobAccess) async throws -> Job? {
        try await read { db in
            try Self.row(name, access, columns: "*", db).map {
                try JobRow.job($0, db, withSource: true)
            }
        }
    }

    /// The id of the job of a name, whose row may be one that cannot be read.
    package func id(of name: String, for access: JobAccess) async throws -> String? {
        try await read { db in try Self.row(name, access, columns: "id", db).map { $0["id"] } }
    }

    private static func row(
        _ name: String, _ access: JobAccess, columns: String, _ db: Database
    ) throws -> Row? {
        let owner = access.condition
        for (column, order) in [("id", ""), ("requestID", "ORDER BY number DESC LIMIT 1")] {
            let row = try Row.fetchOne(
                db,
                sql: "SELECT \(columns) FROM job WHERE \(column) = ? AND \(owner.sql) \(order)",
                arguments: [name] + owner.arguments)
            if let row { return row }
        }
        return nil
    }

    /// The jobs of a query, the newest first, without the pixels of their sources.
    public func jobs(_ query: JobQuery) async throws -> [Job] {
        try await read { db in
            let owner = query.access.condition
            var (conditions, arguments) = ([owner.sql], owner.arguments)
            if !query.states.isEmpty {
                conditions.append(
                    "state IN (\(query.states.map { "'\($0.rawValue)'" }.joined(separator: ",")))")
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
                conditions.append(
                    "number < (SELECT number FROM job WHERE id = ? AND \(owner.sql))")
                arguments += [before] + owner.arguments
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

extension JobAccess {
    /// The rows of the table `job` that the access includes.
    fileprivate var condition: (sql: String, arguments: StatementArguments) {
        switch self {
        case .all: ("1", [])
        // Rows without an owner have an empty one, which no key has.
        case .owner(""): ("0", [])
        case .owner(let id): ("owner = ?", [id])
        }
    }
}
