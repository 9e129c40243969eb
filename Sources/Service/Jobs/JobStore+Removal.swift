// Part of Inkstone. Licence: see LICENSE.

package import Foundation
import GRDB
import Synchronization

extension JobStore {
    /// Jobs that one transaction removes: more of them would write a long log.
    private static let removedTogether = 16

    /// Removes final jobs, and files that no other job has; also on a full disk.
    ///
    /// Returns the number of removed jobs.
    package func remove(_ ids: [String]) async throws -> Int {
        // Jobs whose end is in memory alone are final too.
        let ends = Set(ends.keys)
        var count = 0
        for start in stride(from: 0, to: ids.count, by: Self.removedTogether) {
            let batch = Array(ids[start..<min(ids.count, start + Self.removedTogether)])
            count += try await exclusively { db in try self.remove(batch, ended: ends, db) }
        }
        unwrittenEnds.withLock { all in
            for id in ends.intersection(ids) { all[id] = nil }
        }
        return count
    }

    private func remove(_ ids: [String], ended: Set<String>, _ db: Database) throws -> Int {
        let removal = try Removal(of: ids, ended: ended, db)
        guard !removal.numbers.isEmpty else { return 0 }
        try essentialTransaction(db, makeRoom: { removeFiles(of: removal) }) {
            try db.execute(sql: "DELETE FROM job WHERE number IN (\(removal.list))")
        }
        try reach(.rowsRemoved)
        // After the rows: a row whose file is missing would be shown, a file without a row is not.
        removeFiles(of: removal)
        return removal.numbers.count
    }

    /// Removes files, also from the copy of before an upgrade, where they would take space and could be seen
    /// for longer than their jobs.
    private func removeFiles(of removal: Removal) {
        for file in removal.images {
            files.remove(file)
            earlier.files.remove(file)
        }
        for file in removal.sources {
            sources.remove(file)
            earlier.sources.remove(file)
        }
    }

    /// Rows that are to be removed, and the files that no other row refers to.
    private struct Removal {
        private(set) var numbers: [Int64] = []
        private(set) var images: Set<String> = []
        private(set) var sources: Set<String> = []

        /// The numbers of the rows, as a statement has them.
        var list: String { numbers.map { "\($0)" }.joined(separator: ",") }

        /// The final ones among jobs.
        ///
        /// - Parameters:
        ///   - ids: The jobs.
        ///   - ended: Jobs that are final although their rows do not say so.
        ///   - db: The database.
        /// - Throws: `DatabaseError`.
        init(of ids: [String], ended: Set<String>, _ db: Database) throws {
            for id in Set(ids) {
                let row = try Row.fetchOne(
                    db,
                    sql: """
                        SELECT number, sourceFile, maskFile,
                            state IN ('queued', 'running') AS isOpen
                        FROM job WHERE id = ?
                        """, arguments: [id])
                guard let row, !row["isOpen"] || ended.contains(id) else { continue }
                numbers.append(row["number"])
                sources.formUnion(
                    [row["sourceFile"], row["maskFile"]].compactMap { $0 as String? })
            }
            images = try String.fetchSet(
                db, sql: "SELECT file FROM picture WHERE job IN (\(list))")
            images = try images.filter {
                try isUnused(
                    $0, "SELECT 1 FROM picture WHERE file = ? AND job NOT IN (\(list))", db)
            }
            sources = try sources.filter { file in
                try ["sourceFile", "maskFile"].allSatisfy {
                    try isUnused(
                        file, "SELECT 1 FROM job WHERE \($0) = ? AND number NOT IN (\(list))", db)
                }
            }
        }

        private func isUnused(_ file: String, _ sql: String, _ db: Database) throws -> Bool {
            try Row.fetchOne(db, sql: sql, arguments: [file]) == nil
        }
    }

    // MARK: - Expiry

    /// Final jobs that are older than allowed, and the oldest of those whose images exceed the limit.
    ///
    /// Jobs with a starred image are kept, and take none of the space.
    package func expired(before date: Date?, imageBytes: Int) async throws -> [String] {
        let (ids, bytes) = try await read { db in
            let old =
                try date.map {
                    try String.fetchAll(
                        db,
                        sql: """
                            SELECT id FROM job WHERE finished < ? AND NOT \(Self.isStarred)
                            ORDER BY number
                            """,
                        arguments: [$0.timeIntervalSince1970])
                } ?? []
            let bytes = try Self.storedBytes(db)
            return (try old + Self.oldest(db, exceeding: bytes - imageBytes, except: old), bytes)
        }
        storedBytes.withLock { $0 = bytes }
        return ids
    }

    /// The oldest final jobs that have so many bytes of files together.
    private static func oldest(
        _ db: Database, exceeding bytes: Int, except known: [String]
    ) throws -> [String] {
        var (rest, ids, known) = (bytes, [String](), Set(known))
        guard rest > 0 else { return [] }
        let rows = try Row.fetchCursor(
            db,
            sql: """
                SELECT id, sourceBytes
                    + (SELECT COALESCE(SUM(fileSize), 0) FROM picture
                        WHERE picture.job = job.number) AS bytes
                FROM job WHERE finished IS NOT NULL AND NOT \(Self.isStarred) ORDER BY number
                """)
        while rest > 0, let row = try rows.next() {
            let (id, bytes): (String, Int) = (row["id"], row["bytes"])
            rest -= bytes
            if bytes > 0, known.insert(id).inserted { ids.append(id) }
        }
        return ids
    }

    /// Bytes of all images and sources but those of starred jobs, each counted for every job that has it.
    private static func storedBytes(_ db: Database) throws -> Int {
        let kept = "(SELECT job FROM picture WHERE starred)"
        let images =
            try Int.fetchOne(
                db, sql: "SELECT SUM(fileSize) FROM picture WHERE job NOT IN \(kept)") ?? 0
        let sources = try Int.fetchOne(
            db, sql: "SELECT SUM(sourceBytes) FROM job WHERE number NOT IN \(kept)")
        return images + (sources ?? 0)
    }

    /// Whether images may take more than so many bytes: what was stored since `expired` counted them is
    /// included, what was removed is not subtracted.
    package func mayExceed(_ bytes: Int) -> Bool {
        storedBytes.withLock { $0.map { $0 > bytes } ?? false }
    }
}
