// Part of Inkstone. Licence: see LICENSE.

public import Foundation
import GRDB
import Imaging
import ModelFiles
package import Synchronization

/// Jobs as rows of an SQLite database, and their images as files beside it.
///
/// A job that was accepted survives the end of the process, however it ends.
public final class JobStore: Sendable {
    /// The data folder.
    public let folder: URL
    /// The files of finished images.
    package let files: ImageFiles
    /// The files of images that jobs start from.
    package let sources: ImageFiles
    /// The space on the disk.
    package let space: StorageSpace
    /// Bytes of images and sources at the last count and of those that were added since.
    let storedBytes = Mutex<Int?>(nil)
    let database: DatabasePool
    /// Number of the newest job that an earlier process has left.
    let newestEarlier: Int64
    /// Ends of jobs that are not written yet; they count in every query.
    let unwrittenEnds = Mutex<[String: JobEnd]>([:])
    /// Called at the moments of ``Failpoint`` while nothing else changes rows and files.
    package let failpoint = Mutex<(@Sendable (Failpoint) throws -> Void)?>(nil)
    /// Keeps other servers out of the folder.
    private let lock: FileLock
    /// The copy of the folder that was made because this opening upgraded the database.
    public let upgrade: UpgradeCopy?
    /// Files of the copy of before an upgrade: an image that is removed is removed from it too.
    let earlier: (files: ImageFiles, sources: ImageFiles)
    /// A sentence for each file that other users of the machine can read.
    public let warnings: [String]

    /// Opens the store in a folder, which is made if it is missing.
    ///
    /// A database of an earlier version is upgraded, after a copy of the folder was made (``UpgradeCopy``).
    ///
    /// - Throws: `JobStoreError` of code `unusable`, `denied`, `inUse`, `newer`, `damaged` or `full`.
    public init(folder: URL) throws {
        self.folder = folder
        warnings = try Self.makeFolder(folder)
        lock = try Self.lock(folder)
        try Self.checkContents(of: folder)
        space = StorageSpace(folder: folder)
        files = try ImageFiles(folder: folder.appending(path: "pictures"))
        sources = try ImageFiles(folder: folder.appending(path: "sources"))
        let copy = UpgradeCopy(of: folder).url
        earlier = (
            ImageFiles(existing: copy.appending(path: "pictures")),
            ImageFiles(existing: copy.appending(path: "sources"))
        )
        (database, upgrade) = try Self.open(folder, sources, space)
        newestEarlier = try database.read {
            try Int64.fetchOne($0, sql: "SELECT MAX(number) FROM job") ?? 0
        }
        do { try space.makeReserve() } catch  where error.code == .diskFull {
            space.setFull(true)
        } catch {}
    }

    /// Writes everything into the database file and closes it, so that its log is empty; called last.
    ///
    /// - Throws: `JobStoreError`.
    public func close() throws {
        do {
            // Readers that are open would keep the log.
            database.invalidateReadOnlyConnections()
            try database.writeWithoutTransaction { _ = try $0.checkpoint(.truncate) }
            try database.close()
        } catch let error as DatabaseError {
            throw Self.describe(error)
        }
        // On a full disk the space of the log is kept for the next start.
        try? space.makeReserve()
    }

    // MARK: - Access

    /// A new job's id: `job-` and 20 letters and digits.
    package static func newID() -> String {
        let letters = Array("0123456789abcdefghijkmnpqrstuvwxyz")
        return "job-" + String((0..<20).map { _ in letters[Int.random(in: 0..<letters.count)] })
    }
}
