// Part of Inkstone. Licence: see LICENSE.

import Foundation
import GRDB
import Imaging
import Parameters
import Service
import Testing

/// A data folder of an earlier version, with jobs, images and keys.
struct EarlierFolder {
    let url: URL
    /// Names of the files of its images.
    private(set) var images: [String] = []

    private var database: URL { url.appending(path: "jobs.sqlite") }

    /// Makes the folder of version 0.1: its recorded database and keys, and an image file for each image that
    /// the database names.
    ///
    /// - Parameters:
    ///   - url: The folder.
    ///   - migration: The last migration that the database has; that of version 0.1 if `nil`.
    init(_ url: URL, upTo migration: String? = nil) throws {
        self.url = url
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        for name in ["jobs.sqlite", "keys.json"] {
            try Data(try StoredFormatTests.bytes(name)).write(to: url.appending(path: name))
        }
        let files = try ImageFiles(folder: url.appending(path: "pictures"))
        let database = try DatabaseQueue(path: database.path)
        let rows = try database.read { db in
            try Row.fetchAll(db, sql: "SELECT job, number FROM picture ORDER BY job, number")
        }
        for (index, row) in rows.enumerated() {
            let png = try ImageEncoder.encode(
                try FakeEngine.image(
                    seed: UInt64(index + 1) << 4, size: PixelSize(width: 32, height: 16)))
            let name = try files.store(png)
            images.append(name)
            try database.write { db in
                try db.execute(
                    sql: "UPDATE picture SET file = ?, fileSize = ? WHERE job = ? AND number = ?",
                    arguments: [name, png.count, row["job"], row["number"]])
            }
        }
        if let migration {
            let sources = try ImageFiles(folder: url.appending(path: "sources"))
            try JobSchema.migrator(sources: sources).migrate(database, upTo: migration)
        }
        try database.close()
    }

    /// All tables of a folder's database, and all their rows.
    static func rows(of folder: URL) throws -> [String: [String]] {
        let database = try DatabaseQueue(path: folder.appending(path: "jobs.sqlite").path)
        defer { try? database.close() }
        return try database.read { db in
            let schema = try Row.fetchAll(db, sql: "SELECT name, type, sql FROM sqlite_master")
            var all = ["schema": schema.map { "\($0)" }.sorted()]
            for row in schema where row["type"] == "table" {
                let name: String = row["name"]
                all[name] = try Row.fetchAll(db, sql: "SELECT * FROM \"\(name)\"").map { "\($0)" }
                    .sorted()
            }
            return all
        }
    }

    /// The names of the migrations that a folder's database has.
    static func migrations(of folder: URL) throws -> [String] {
        try rows(of: folder)["grdb_migrations"] ?? []
    }

    /// The names of what is in a folder.
    static func names(in folder: URL) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    }
}
