// Part of Inkstone. Licence: see LICENSE.

import Foundation
import GRDB

extension JobStore {
    /// The job of a name: an id, or the id of a call.
    public func job(_ name: String, for access: JobAccess) async throws -> Job? {
        let ends = ends
        return try await read { db in
            guard let row = try Self.row(name, access, columns: "*", db) else { return nil }
            return try JobRow.jobs([row], db).first?.ended(ends[row["id"]])
        }
    }

    /// The id of the job of a name, whose row may be one that cannot be read.
    package func id(of name: String, for access: JobAccess) async throws -> String? {
        try await read { db in try Self.row(name, access, columns: "id", db).map { $0["id"] } }
    }

    /// The id of a job that is not final, whose row may be one that cannot be read.
    package func unfinishedID(of name: String, for access: JobAccess) async throws -> String? {
        let ends = ends
        return try await read { db in
            guard let row = try Self.row(name, access, columns: "id, state", db),
                Job.State(rawValue: row["state"])?.isFinal != true
            else { return nil }
            let id: String = row["id"]
            return ends[id] == nil ? id : nil
        }
    }

    static func row(
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

    /// The jobs of a query, the newest first.
    public func jobs(_ query: JobQuery) async throws -> [Job] {
        let ends = ends
        return try await read { db in
            let owner = query.access.condition
            var (conditions, arguments) = Self.conditions(of: query, ends)
            if query.access != .all {
                conditions.append(owner.sql)
                arguments += owner.arguments
            }
            for word in query.words {
                conditions.append("instr(lower(prompt), lower(?)) > 0")
                arguments += [word]
            }
            for filter in Self.filters(of: query) {
                conditions.append(filter.sql)
                arguments += filter.arguments
            }
            if let before = query.before {
                conditions.append(
                    "number < (SELECT number FROM job WHERE id = ? AND \(owner.sql))")
                arguments += [before] + owner.arguments
            }
            arguments += [query.limit]
            let rows = try Row.fetchAll(
                db,
                sql: "SELECT * FROM job WHERE \(conditions.joined(separator: " AND "))"
                    + " ORDER BY number DESC LIMIT ?", arguments: arguments)
            return try JobRow.jobs(rows, db).map { $0.ended(ends) }
        }
    }

    /// Conditions on the states of a query's jobs, where ends that are not written count.
    private static func conditions(
        of query: JobQuery, _ ends: [String: JobEnd]
    ) -> ([String], StatementArguments) {
        var conditions = ["1"]
        var arguments = StatementArguments()
        if !query.states.isEmpty {
            conditions.append(
                "state IN (\(query.states.map { "'\($0.rawValue)'" }.joined(separator: ",")))")
        }
        if let isGivenUp = query.isGivenUp {
            conditions.append("givenUp = ?")
            arguments += [isGivenUp]
        }
        guard conditions.count > 1, !ends.isEmpty else { return (conditions, arguments) }
        let matching = ends.filter { _, end in
            (query.states.isEmpty || query.states.contains(end.state))
                && (query.isGivenUp == nil || query.isGivenUp == end.isGivenUp)
        }
        func list(_ ids: some Collection<String>) -> String {
            arguments += StatementArguments(ids)
            return Array(repeating: "?", count: ids.count).joined(separator: ",")
        }
        let open = "state IN ('queued', 'running')"
        let written = conditions.joined(separator: " AND ")
        let condition =
            "((\(written) AND NOT (\(open) AND id IN (\(list(ends.keys)))))"
            + " OR (\(open) AND id IN (\(list(matching.keys)))))"
        return ([condition], arguments)
    }

    /// Jobs that are not final, the oldest first; what cannot be read any longer fails.
    package func unfinished() async throws -> [Job] {
        let ends = ends
        return try await write { db in
            let rows = try Row.fetchAll(
                db, sql: "SELECT * FROM job WHERE state IN ('queued', 'running') ORDER BY number")
            let open = rows.filter { ends[$0["id"]] == nil }
            let (readable, others) = (
                open.filter { (try? JobRow.request($0)) != nil },
                open.filter { (try? JobRow.request($0)) == nil }
            )
            for row in others {
                try db.execute(
                    sql: "UPDATE job SET state = 'failed', finished = ?, failure = ?"
                        + " WHERE number = ?",
                    arguments: [
                        Date().timeIntervalSince1970, JobRow.unreadable, row["number"] as Int64,
                    ])
            }
            return try JobRow.jobs(readable, db)
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
