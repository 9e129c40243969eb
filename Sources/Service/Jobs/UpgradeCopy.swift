// Part of Inkstone. Licence: see LICENSE.

import Basics
import Engine
public import Foundation
import GRDB
import Imaging

/// The copy of a data folder that is made before its database is upgraded: the way back to an earlier version.
///
/// It is the folder `before-upgrade` in the data folder, which has its own database and links to the same
/// image files, so that it takes little space. There is one at most, that of the last upgrade.
public struct UpgradeCopy: Sendable {
    /// What is recorded about an upgrade in the copy.
    package struct Record: Codable, Sendable, Equatable {
        /// The program that upgrades.
        package var version: String
        /// Migrations of the database in the copy.
        package var migrations: [String]
        /// When the copy was made.
        package var made: Date
        /// Whether the database has all migrations of the program.
        package var isComplete: Bool
    }

    private static let recordName = "upgrade.json"

    private let folder: URL

    /// The copy of a data folder; there may be none.
    init(of folder: URL) { self.folder = folder }

    /// The folder of the copy.
    public var url: URL { folder.appending(path: DataFolder.upgradeCopyName) }

    /// The command by which one goes back.
    public var wayBack: String { "inkstone restore \(url.path) --data \(folder.path)" }

    /// The record of the copy; `nil` without a copy.
    package var record: Record? {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        return (try? Data(contentsOf: url.appending(path: Self.recordName)))
            .flatMap { try? decoder.decode(Record.self, from: $0) }
    }

    private static func write(_ record: Record, in folder: URL) throws {
        let encoder = JSONEncoder()
        encoder.dateEncodingStrategy = .iso8601
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try ImageFile.writeAtomically(
            [UInt8](try encoder.encode(record)) + [10],
            to: folder.appending(path: recordName).path, permissions: 0o600)
    }

    // MARK: - The upgrade

    /// Makes the copy if the database lacks migrations.
    ///
    /// If an earlier upgrade stopped between two migrations, the copy that it made is kept, since the database has
    /// already changed.
    ///
    /// - Returns: The copy, or `nil` if there is nothing to upgrade.
    /// - Throws: `JobStoreError` if it cannot be made; nothing is changed then.
    static func begin(
        _ folder: URL, _ database: DatabasePool, _ migrator: DatabaseMigrator
    ) throws -> UpgradeCopy? {
        let copy = UpgradeCopy(of: folder)
        let applied = try database.read(migrator.appliedMigrations)
        // A new database.
        guard !applied.isEmpty else { return nil }
        if let record = copy.record, !record.isComplete, applied != record.migrations,
            applied.starts(with: record.migrations)
        {
            return copy
        }
        guard applied != migrator.migrations else { return nil }
        do {
            try copy.checkSpace()
            try copy.make(database, applied)
        } catch {
            let error = error as? JobStoreError
            throw JobStoreError(
                code: error?.code ?? .unusable,
                message: "The data folder '\(folder.path)' is of an earlier version, and the copy"
                    + " that is made before it is upgraded failed: "
                    + (error?.message ?? "'\(copy.url.path)' cannot be written; check permissions.")
                    + " Nothing was changed.")
        }
        return copy
    }

    private func make(_ database: DatabasePool, _ applied: [String]) throws {
        let files = FileManager.default
        func partial(_ name: String) -> URL {
            folder.appending(path: DataFolder.upgradeCopyName + DataFolder.partialInfix + name)
        }
        let (next, old) = (partial("next"), partial("old"))
        _ = try JobBackup.copy(folder, reading: database, to: next) { copy in
            try Self.write(
                Record(version: version, migrations: applied, made: Date(), isComplete: false),
                in: copy)
        }
        // The copy of an earlier upgrade.
        if files.fileExists(atPath: url.path) { try files.moveItem(at: url, to: old) }
        try files.moveItem(at: next, to: url)
        DataFolder.synchronize(folder)
        try? files.removeItem(at: old)
    }

    /// Bytes that the copy and the log of the upgrade need at most; images are linked.
    var neededBytes: Int {
        let database = ["", "-wal"].reduce(0) {
            $0 + (DataFolder.size(of: folder.appending(path: "jobs.sqlite" + $1)) ?? 0)
        }
        return 2 * database + StorageSpace.reserveBytes
    }

    private func checkSpace() throws(JobStoreError) {
        let needed = neededBytes
        guard let free = StorageSpace.freeBytes(at: folder), free < needed else { return }
        throw JobStoreError(
            code: .full,
            message: "It needs \(needed.byteText) of space, but \(free.byteText) are free; free"
                + " some and start again.")
    }

    /// Records that the database has all migrations.
    func finish() throws {
        guard var record, !record.isComplete else { return }
        record.isComplete = true
        do { try Self.write(record, in: url) } catch {
            throw JobStoreError(
                code: (error as? ImagingError)?.code == .diskFull ? .full : .unusable,
                message: "The end of the upgrade cannot be recorded: \(error) The next start"
                    + " continues it.")
        }
    }

    // MARK: - Afterwards

    /// What a program can do that is too old for the folder: a part of a sentence, which may be empty.
    func advice(_ migrator: DatabaseMigrator) -> String {
        guard let record, record.migrations.allSatisfy(migrator.migrations.contains) else {
            return ""
        }
        return "go back to the copy of before the upgrade with '\(wayBack)', "
    }

    /// Removes the copy if it is older than a number of seconds.
    ///
    /// - Returns: Whether it was removed.
    func remove(olderThan seconds: Double) -> Bool {
        guard let record, record.isComplete, -record.made.timeIntervalSinceNow > seconds else {
            return false
        }
        return (try? FileManager.default.removeItem(at: url)) != nil
    }
}
