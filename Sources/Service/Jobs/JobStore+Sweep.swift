// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation
import GRDB

extension JobStore {
    /// What a comparison of files and rows has found.
    package struct Sweep: Sendable, Equatable {
        /// Files that no row referred to, which are removed.
        package var removed = 0
        /// Ids of jobs with an image or a source whose file is missing.
        package var incomplete: Set<String> = []
    }

    /// Where the files of a folder are referred to.
    private struct Column {
        let files: ImageFiles
        /// Selects the pairs of file and job whose file is between two names.
        let sql: String
    }

    /// Removes what a process that was killed has left: temporary files, and files without a row.
    ///
    /// - Returns: What was removed, and which jobs lack a file.
    /// - Throws: `JobStoreError`.
    package func sweep() async throws -> Sweep {
        let top = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        for name in top where name.hasPrefix(".") && name.hasSuffix(".tmp") {
            LeftoverFile.remove(folder.appending(path: name).path)
        }
        let columns = [
            Column(
                files: files,
                sql: """
                    SELECT file, id FROM picture JOIN job ON job.number = picture.job
                    WHERE file >= ?1 AND file < ?2
                    """),
            Column(
                files: sources,
                sql: """
                    SELECT sourceFile AS file, id FROM job
                    WHERE sourceFile >= ?1 AND sourceFile < ?2
                    UNION ALL SELECT maskFile, id FROM job WHERE maskFile >= ?1 AND maskFile < ?2
                    """),
        ]
        var sweep = Sweep()
        for column in columns {
            // A part at a time: nothing is stored meanwhile.
            for number in 0..<256 {
                let part = number.hexadecimal(digits: 2)
                let found = try await exclusively { db in try Self.sweep(part, column, db) }
                sweep.removed += found.removed
                sweep.incomplete.formUnion(found.incomplete)
            }
        }
        return sweep
    }

    /// Removes the copy of before an upgrade if it is older than jobs may be, but not within a day.
    ///
    /// Returns whether it was removed.
    package func removeUpgradeCopy(olderThan seconds: Double) async -> Bool {
        let removed = try? await WorkThreads.files.run { [folder] in
            UpgradeCopy(of: folder).remove(olderThan: max(86_400, seconds))
        }
        return removed ?? false
    }

    private static func sweep(_ part: String, _ column: Column, _ db: Database) throws -> Sweep {
        column.files.removeLeftovers(in: part)
        var sweep = Sweep()
        let stored = Set(column.files.names(in: part))
        var referred: Set<String> = []
        // The names that begin with the part are hexadecimal digits.
        let rows = try Row.fetchCursor(db, sql: column.sql, arguments: [part, part + "g"])
        while let row = try rows.next() {
            let file: String = row["file"]
            referred.insert(file)
            if !stored.contains(file) { sweep.incomplete.insert(row["id"]) }
        }
        for file in stored.subtracting(referred) {
            column.files.remove(file)
            sweep.removed += 1
        }
        return sweep
    }
}
