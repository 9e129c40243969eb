// Part of Inkstone. Licence: see LICENSE.

package import Engine
public import Foundation
import GRDB
import Imaging
import ModelFiles
import Parameters

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Jobs as rows of an SQLite database, and their pictures as files beside it.
///
/// A job that was accepted survives the end of the process, however it ends.
public final class JobStore: Sendable {
    /// The folder of everything.
    public let folder: URL
    /// The pictures.
    package let files: PictureFiles
    private let database: DatabasePool
    /// Keeps other servers out of the folder.
    private let lock: FileLock
    /// The damaged database that was set aside when the store was opened, if one was.
    public let setAside: URL?

    /// Opens the store in a folder, which is made if it is missing.
    ///
    /// A damaged database is set aside and a new one begun: the service goes on, and what was in
    /// the old one can still be looked at.
    ///
    /// - Throws: `JobStoreError` of code `unusable`, `inUse` or `newer`.
    public init(folder: URL) throws {
        self.folder = folder
        do {
            try FileManager.default.createDirectory(
                at: folder, withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
        } catch {
            throw JobStoreError(
                code: .unusable,
                message: "The data folder '\(folder.path)' cannot be made: check that its parent"
                    + " may be written to, or name another with --data.")
        }
        lock = try Self.lock(folder)
        files = try PictureFiles(folder: folder.appending(path: "pictures"))
        let url = folder.appending(path: "jobs.sqlite")
        var setAside: URL?
        do {
            database = try Self.open(url)
        } catch let error as DatabaseError
            where [.SQLITE_CORRUPT, .SQLITE_NOTADB].contains(error.resultCode)
        {
            setAside = try Self.setAside(url)
            database = try Self.open(url)
        } catch let error as DatabaseError {
            throw JobStoreError(
                code: .unusable,
                message:
                    "The job database '\(url.path)' cannot be opened: \(error.message ?? "no reason given");"
                    + " check the folder's permissions and room, or name another with --data.")
        }
        self.setAside = setAside
    }

    private static func lock(_ folder: URL) throws(JobStoreError) -> FileLock {
        do {
            return try FileLock(folder.appending(path: "lock"), patience: 2)
        } catch .unusable(let number) {
            throw JobStoreError(
                code: .unusable,
                message: "The data folder '\(folder.path)' cannot be written to:"
                    + " \(String(cString: strerror(number))); name another with --data.")
        } catch {
            throw JobStoreError(
                code: .inUse,
                message: "Another server uses the data folder '\(folder.path)'; stop it, or name"
                    + " another folder with --data.")
        }
    }

    private static func open(_ url: URL) throws -> DatabasePool {
        var configuration = Configuration()
        configuration.busyMode = .timeout(10)
        configuration.maximumReaderCount = 4
        configuration.prepareDatabase { db in
            // A commit survives the end of the process; only a power cut may undo the last ones.
            try db.execute(sql: "PRAGMA synchronous = NORMAL")
            // Rows are small: 2 MB of pages for each connection would look like a leak for hours.
            try db.execute(sql: "PRAGMA cache_size = -256")
        }
        let database = try DatabasePool(path: url.path, configuration: configuration)
        let damage = try database.read { try String.fetchOne($0, sql: "PRAGMA quick_check(1)") }
        if let damage, damage != "ok" {
            try database.close()
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: damage)
        }
        let migrator = JobSchema.migrator
        if try database.read(migrator.hasBeenSuperseded) {
            throw JobStoreError(
                code: .newer,
                message:
                    "The job database '\(url.path)' was written by a newer version of Inkstone;"
                    + " run that version, or name another data folder with --data.")
        }
        try migrator.migrate(database)
        return database
    }

    private static func setAside(_ url: URL) throws -> URL {
        let stamp = Int(Date().timeIntervalSince1970)
        let aside = url.deletingLastPathComponent()
            .appending(path: "jobs.damaged-\(stamp).sqlite")
        for suffix in ["", "-wal", "-shm"] {
            let part = URL(filePath: url.path + suffix)
            guard FileManager.default.fileExists(atPath: part.path) else { continue }
            try FileManager.default.moveItem(at: part, to: URL(filePath: aside.path + suffix))
        }
        return aside
    }

    // MARK: - Changes

    /// Adds a queued job, or finds the one that has the same owner and idempotency key.
    ///
    /// - Returns: the job, and whether it is new.
    /// - Throws: `JobStoreError` of code `keyReused`, `full` or `unusable`.
    package func insert(
        _ request: ImageRequest, model: String, _ submission: Submission
    ) async throws -> (job: Job, isNew: Bool) {
        let text = try Self.json(request)
        let source = try request.source.map {
            (
                image: Data(try ImageEncoder.encode($0.image)),
                mask: try $0.mask.map { Data(try ImageEncoder.encode($0)) }
            )
        }
        let now = Date()
        let id = Self.newID()
        let deadline = submission.seconds.map { now.timeIntervalSince1970 + $0 }
        return try await write { db in
            if let key = submission.idempotencyKey,
                let row = try Row.fetchOne(
                    db, sql: "SELECT * FROM job WHERE owner = ? AND idempotencyKey = ?",
                    arguments: [submission.owner ?? "", key])
            {
                guard row["fingerprint"] == submission.fingerprint else {
                    throw JobStoreError(
                        code: .keyReused,
                        message: "The idempotency key was used for a different request before;"
                            + " send a new key with a new request.")
                }
                return (try Self.job(row, db, withSource: true), false)
            }
            try db.execute(
                sql: """
                    INSERT INTO job (id, model, request, prompt, state, requestID, owner,
                        idempotencyKey, fingerprint, created, deadline)
                    VALUES (?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    id, model, text, request.prompt, submission.requestID, submission.owner ?? "",
                    submission.idempotencyKey, submission.fingerprint, now.timeIntervalSince1970,
                    deadline,
                ])
            if let source {
                try db.execute(
                    sql: "INSERT INTO source (job, image, mask) VALUES (?, ?, ?)",
                    arguments: [db.lastInsertedRowID, source.image, source.mask])
            }
            return (
                Job(
                    id: id, model: model, request: request, state: .queued,
                    requestID: submission.requestID, owner: submission.owner,
                    created: Date(timeIntervalSince1970: now.timeIntervalSince1970),
                    deadline: deadline.map(Date.init(timeIntervalSince1970:)), attempts: 0,
                    pictures: []), true
            )
        }
    }

    /// Notes that work on a job begins.
    package func start(_ id: String) async throws {
        try await write { db in
            try db.execute(
                sql: """
                    UPDATE job SET state = 'running', started = ?, attempts = attempts + 1
                    WHERE id = ? AND state IN ('queued', 'running')
                    """, arguments: [Date().timeIntervalSince1970, id])
        }
    }

    /// Keeps a finished picture; the file must lie in the store already.
    package func add(_ picture: Job.Picture, to id: String) async throws {
        let (seconds, loras) = (try Self.json(picture.seconds), try Self.json(picture.loras))
        try await write { db in
            try db.execute(
                sql: """
                    INSERT OR REPLACE INTO picture
                    SELECT number, ?, ?, ?, ?, ?, ?, ?, ? FROM job WHERE id = ?
                    """,
                arguments: [
                    picture.index, String(picture.seed), picture.pixelDigest, picture.file,
                    picture.fileSize, picture.promptTruncated, seconds, loras, id,
                ])
        }
    }

    /// Gives a job its final state; one that has one already keeps it.
    ///
    /// `isGivenUp` says that its workers ended so often that it is not tried again.
    package func finish(
        _ id: String, _ state: Job.State, failure: String? = nil, isGivenUp: Bool = false
    ) async throws {
        try await write { db in
            try db.execute(
                sql: """
                    UPDATE job SET state = ?, finished = ?, failure = ?, givenUp = ?
                    WHERE id = ? AND state IN ('queued', 'running')
                    """,
                arguments: [
                    state.rawValue, Date().timeIntervalSince1970, failure, isGivenUp, id,
                ])
        }
    }

    /// Removes final jobs, and files that no job has any longer; returns how many jobs went.
    package func remove(_ ids: [String]) async throws -> Int {
        let (count, orphans) = try await write { db -> (Int, [String]) in
            var (count, candidates) = (0, Set<String>())
            for id in ids {
                let files = try String.fetchAll(
                    db,
                    sql: """
                        SELECT file FROM picture JOIN job ON job.number = picture.job
                        WHERE job.id = ? AND job.state NOT IN ('queued', 'running')
                        """, arguments: [id])
                try db.execute(
                    sql: "DELETE FROM job WHERE id = ? AND state NOT IN ('queued', 'running')",
                    arguments: [id])
                count += db.changesCount
                candidates.formUnion(files)
            }
            let orphans = try candidates.filter { file in
                try Row.fetchOne(
                    db, sql: "SELECT 1 FROM picture WHERE file = ?", arguments: [file]) == nil
            }
            return (count, Array(orphans))
        }
        for file in orphans { files.remove(file) }
        return count
    }

    /// Final jobs that are older than allowed, or whose pictures are more than allowed: the oldest.
    package func expired(before date: Date?, pictureBytes: Int) async throws -> [String] {
        try await read { db in
            var ids =
                try date.map {
                    try String.fetchAll(
                        db,
                        sql: "SELECT id FROM job WHERE finished < ? ORDER BY number",
                        arguments: [$0.timeIntervalSince1970])
                } ?? []
            let known = Set(ids)
            var total =
                try Int.fetchOne(db, sql: "SELECT SUM(fileSize) FROM picture") ?? 0
            guard total > pictureBytes else { return ids }
            let rows = try Row.fetchCursor(
                db,
                sql: """
                    SELECT job.id AS id, SUM(fileSize) AS bytes FROM picture
                    JOIN job ON job.number = picture.job
                    WHERE job.finished IS NOT NULL GROUP BY job.number ORDER BY job.number
                    """)
            while total > pictureBytes, let row = try rows.next() {
                let (id, bytes): (String, Int) = (row["id"], row["bytes"])
                total -= bytes
                if !known.contains(id) { ids.append(id) }
            }
            return ids
        }
    }

    // MARK: - Questions

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
            ).map { try Self.job($0, db, withSource: true) }
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
            ).map { try Self.job($0, db) }
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
                    jobs.append(try Self.job(row, db, withSource: true))
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

    // MARK: - Rows

    private static func job(
        _ row: Row, _ db: Database, withSource: Bool = false
    ) throws -> Job {
        let text: String = row["request"]
        var request = try JSONDecoder().decode(ImageRequest.self, from: Data(text.utf8))
        if withSource, request.strength != nil, request.source == nil {
            request = request.with(source: try source(of: row["number"], db))
        }
        let pictures = try Row.fetchAll(
            db, sql: "SELECT * FROM picture WHERE job = ? ORDER BY number",
            arguments: [row["number"] as Int64]
        ).map { row in
            Job.Picture(
                index: row["number"], seed: UInt64(row["seed"] as String) ?? 0,
                pixelDigest: row["pixelDigest"], file: row["file"], fileSize: row["fileSize"],
                promptTruncated: row["promptTruncated"],
                seconds: try JSONDecoder().decode(
                    Timings.self, from: Data((row["seconds"] as String).utf8)),
                loras: try JSONDecoder().decode(
                    [LoRANote].self, from: Data((row["loras"] as String).utf8)))
        }
        func date(_ column: String) -> Date? {
            (row[column] as Double?).map(Date.init(timeIntervalSince1970:))
        }
        let owner: String = row["owner"]
        return Job(
            id: row["id"], model: row["model"],
            request: request,
            state: Job.State(rawValue: row["state"]) ?? .failed, requestID: row["requestID"],
            owner: owner.isEmpty ? nil : owner, created: date("created") ?? .distantPast,
            started: date("started"), finished: date("finished"), deadline: date("deadline"),
            attempts: row["attempts"], failure: row["failure"], isGivenUp: row["givenUp"],
            pictures: pictures)
    }

    private static func source(of job: Int64, _ db: Database) throws -> ImageRequest.Source? {
        guard
            let row = try Row.fetchOne(
                db, sql: "SELECT image, mask FROM source WHERE job = ?", arguments: [job])
        else { return nil }
        func image(_ png: Data) throws -> RGBImage {
            try ImageDecoder.decode([UInt8](png)).flattened()
        }
        return ImageRequest.Source(
            image: try image(row["image"]), mask: try (row["mask"] as Data?).map(image))
    }

    private static func json(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    package static func newID() -> String {
        let letters = Array("0123456789abcdefghijkmnpqrstuvwxyz")
        return "job-" + String((0..<20).map { _ in letters[Int.random(in: 0..<letters.count)] })
    }

    private func write<Result: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> Result
    ) async throws -> Result {
        do {
            return try await database.write(body)
        } catch let error as DatabaseError {
            throw Self.describe(error)
        }
    }

    private func read<Result: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> Result
    ) async throws -> Result {
        do {
            return try await database.read(body)
        } catch let error as DatabaseError {
            throw Self.describe(error)
        }
    }

    private static func describe(_ error: DatabaseError) -> JobStoreError {
        switch error.resultCode {
        case .SQLITE_FULL, .SQLITE_IOERR:
            JobStoreError(
                code: .full,
                message: "There is no room for the job on the disk; free some and try again.")
        case .SQLITE_READONLY:
            JobStoreError(
                code: .full,
                message: "The job database cannot be written to; check the permissions of its"
                    + " folder.")
        default:
            JobStoreError(
                code: .unusable,
                message: "The job database failed: \(error.message ?? "no reason given").")
        }
    }
}
