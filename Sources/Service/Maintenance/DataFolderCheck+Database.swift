// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation
import GRDB

extension DataFolderCheck {
    /// Checks the database and the jobs in it.
    ///
    /// - Returns: The files that its rows name, or `nil` if they cannot be read.
    func checkDatabase(_ state: FolderState, _ report: inout Report) -> StoredRows? {
        let url = folder.appending(path: "jobs.sqlite")
        let size = DataFolder.size(of: url)
        guard size ?? 0 > 0 else {
            if DataFolder.containsJobFiles(folder) {
                report.add(
                    .problem,
                    "jobs: the database '\(url.path)' is \(size == nil ? "missing" : "empty"), but"
                        + " there are files of its jobs, and no server starts. "
                        + JobStore.remedy(folder))
            } else {
                report.add(.good, "jobs: none yet")
            }
            return nil
        }
        do {
            let database = try JobStore.reader(of: url)
            defer { try? database.close() }
            return try database.read { db in try check(db, state, &report) }
        } catch let error as DatabaseError where JobStore.isDamage(error) {
            reportDamage(error.message ?? "no reason given", &report)
        } catch {
            let reason = (error as? DatabaseError)?.message ?? "\(error)"
            report.add(
                .problem,
                "jobs: the database '\(url.path)' cannot be read: \(reason); check the permissions"
                    + " of the folder, and run doctor as the user of the server")
        }
        return nil
    }

    private func reportDamage(_ reason: String, _ report: inout Report) {
        report.add(
            .problem,
            "jobs: the database '\(folder.appending(path: "jobs.sqlite").path)' is damaged"
                + " (\(reason)), and no server starts. " + JobStore.remedy(folder))
    }

    private func check(
        _ db: Database, _ state: FolderState, _ report: inout Report
    ) throws -> StoredRows? {
        if let damage = try JobStore.damage(db) {
            reportDamage(damage, &report)
            return nil
        }
        let migrator = JobSchema.migrator(sources: ImageFiles(existing: folder))
        let copy = UpgradeCopy(of: folder)
        if try migrator.hasBeenSuperseded(db) {
            report.add(
                .problem,
                "jobs: the database was written by a newer version of Inkstone; run that version, "
                    + copy.advice(migrator) + "or name another data folder with --data")
            return nil
        }
        let applied = try migrator.appliedMigrations(db)
        guard !applied.isEmpty else {
            report.add(.good, "jobs: none yet")
            return nil
        }
        if applied != migrator.migrations, !state.isInUse { reportUpgrade(copy, &report) }
        try reportJobs(db, state, &report)
        return try StoredRows(db)
    }

    private func reportUpgrade(_ copy: UpgradeCopy, _ report: inout Report) {
        let free = StorageSpace.freeBytes(at: folder)
        if let free, free < copy.neededBytes {
            report.add(
                .problem,
                "upgrade: the folder is of an earlier version, and its upgrade needs"
                    + " \(copy.neededBytes.byteText) of space, but \(free.byteText) are free; free"
                    + " some before the next start")
        } else {
            report.add(
                .note,
                "upgrade: the folder is of an earlier version; the next start upgrades it, and"
                    + " retains a copy of before in '\(copy.url.path)'")
        }
    }

    // MARK: - Jobs

    private func reportJobs(
        _ db: Database, _ state: FolderState, _ report: inout Report
    ) throws {
        func count(_ condition: String) throws -> Int {
            try Int.fetchOne(db, sql: "SELECT count(*) FROM job WHERE \(condition)") ?? 0
        }
        let columns = Set(try db.columns(in: "job").map(\.name))
        let all = try count("1")
        if state.isInUse {
            let (running, queued) = (
                try count("state = 'running'"), try count("state = 'queued'")
            )
            report.add(.good, "jobs: \(all), running \(running), waiting \(queued)")
        } else {
            let attempts = JobService.Limits().attempts
            let open = "state IN ('queued', 'running')"
            // Databases of version 0.1 do not say whose callers waited: all their jobs run again.
            let hasCallers = columns.contains("detached")
            let cancelled = hasCallers ? try count("\(open) AND detached = 0") : 0
            let givenUp = try count(
                "state = 'running' AND attempts >= \(attempts)"
                    + (hasCallers ? " AND detached <> 0" : ""))
            let again = try count(open) - cancelled - givenUp
            let parts = [
                ("run again", again), ("cancelled, since their callers are gone", cancelled),
                ("given up after \(attempts) crashes", givenUp),
            ].filter { $0.1 > 0 }.map { "\($0.0): \($0.1)" }
            let text =
                parts.isEmpty ? "all final" : "at the next start " + parts.joined(separator: ", ")
            report.add(parts.isEmpty ? .good : .note, "jobs: \(all), \(text)")
        }
        guard columns.contains("givenUp") else { return }
        let givenUp = try String.fetchAll(
            db, sql: "SELECT id FROM job WHERE givenUp <> 0 ORDER BY number DESC")
        guard !givenUp.isEmpty else { return }
        report.add(
            .note,
            "jobs: given up earlier: \(givenUp.count), the last one \(givenUp[0]); such jobs are not run"
                + " again: change their requests, or report what crashed")
    }
}

/// The files that the rows of a database name.
struct StoredRows {
    /// A file and the job that names it.
    struct File {
        let name: String
        /// Bytes, where the row has them.
        let size: Int?
        let job: String
    }

    /// Finished images.
    private(set) var images: [File]
    /// Source images and masks.
    private(set) var sources: [File] = []

    init(_ db: Database) throws {
        func files(_ sql: String) throws -> [File] {
            try Row.fetchAll(db, sql: sql).map {
                File(name: $0["file"], size: $0["size"], job: $0["id"])
            }
        }
        images = try files(
            """
            SELECT file, fileSize AS size, id FROM picture JOIN job ON job.number = picture.job
            ORDER BY job.number DESC
            """)
        // A database of an earlier version contains the sources itself.
        guard try db.columns(in: "job").contains(where: { $0.name == "sourceFile" }) else { return }
        sources = try files(
            """
            SELECT sourceFile AS file, NULL AS size, id FROM job WHERE sourceFile IS NOT NULL
            UNION ALL
            SELECT maskFile, NULL, id FROM job WHERE maskFile IS NOT NULL
            """)
    }
}
