// Part of Inkstone. Licence: see LICENSE.

import Basics
public import Foundation

/// A check of a data folder, which changes nothing in it: what a crash, an upgrade or a disk has left.
///
/// A server may use the folder meanwhile. What cannot be distinguished then from work in progress, such as files
/// whose rows are about to be written, is not looked at.
public struct DataFolderCheck: Sendable {
    /// Bytes of free space below which an action is needed.
    static let leastFreeBytes = 100_000_000

    let folder: URL
    private let temporaryFolder: URL

    /// A check of a folder.
    ///
    /// - Parameters:
    ///   - folder: The data folder.
    ///   - temporaryFolder: Where servers make the folders of their sockets.
    public init(
        _ folder: URL, temporaryFolder: URL = FileManager.default.temporaryDirectory
    ) {
        self.folder = folder
        self.temporaryFolder = temporaryFolder
    }

    /// What was found.
    public struct Report: Sendable {
        /// Whether a server uses the folder.
        public internal(set) var isInUse = false
        /// The findings, in a fixed order.
        public internal(set) var findings: [CheckFinding] = []

        mutating func add(_ severity: CheckFinding.Severity, _ text: String) {
            findings.append(CheckFinding(severity, text))
        }
    }

    /// Checks the folder.
    public func run() -> Report {
        var report = Report()
        guard isThere(&report) else { return report }
        let state = FolderState(of: folder)
        report.isInUse = state.isInUse
        report.add(.good, "data: '\(folder.path)', \(state.text)")
        checkModes(&report)
        checkRestore(&report)
        if let rows = checkDatabase(state, &report) {
            checkFiles(rows, state, &report)
        }
        if !state.isInUse { checkLeftovers(&report) }
        checkKeys(&report)
        checkCopies(&report)
        checkSpace(&report)
        checkSockets(&report)
        return report
    }

    private func isThere(_ report: inout Report) -> Bool {
        var isFolder = ObjCBool(false)
        guard FileManager.default.fileExists(atPath: folder.path, isDirectory: &isFolder) else {
            report.add(
                .good, "data: '\(folder.path)' does not exist yet; 'inkstone serve' makes it")
            return false
        }
        guard isFolder.boolValue else {
            report.add(
                .problem,
                "data: '\(folder.path)' is a file, expected a folder; name another with --data")
            return false
        }
        guard access(folder.path, R_OK | X_OK) == 0 else {
            report.add(
                .problem,
                "data: '\(folder.path)' cannot be read by this user; run doctor as the user of the"
                    + " server, such as with sudo -u")
            return false
        }
        return true
    }

    private func checkModes(_ report: inout Report) {
        for file in DataFolder.openFiles(in: folder) {
            if file.isOwn {
                report.add(
                    .note,
                    "mode: other users can read '\(file.path)'; the next start withdraws that")
            } else {
                report.add(
                    .problem,
                    "mode: other users can read '\(file.path)', which belongs to another user; run"
                        + " 'chmod go= \(file.path)' as its owner")
            }
        }
    }

    private func checkRestore(_ report: inout Report) {
        guard DataFolder.isBeingRestored(folder), !report.isInUse else { return }
        report.add(
            .problem,
            "restore: it was interrupted, and no server starts; run 'inkstone restore BACKUP --data"
                + " \(folder.path)' again")
    }

    // MARK: - Keys

    private func checkKeys(_ report: inout Report) {
        let file = KeyFile(folder: folder)
        if file.stamp == .missing {
            if file.isMarked {
                report.add(
                    .problem,
                    "keys: '\(file.url.path)' is missing, so that no request is admitted; put it"
                        + " back, or make a key with 'inkstone keys add NAME --data \(folder.path)'"
                )
            } else {
                report.add(.good, "keys: none; requests from this machine need none")
            }
        } else {
            do {
                let count = try file.read().count
                report.add(
                    count == 0 ? .problem : .good,
                    count == 0
                        ? "keys: none left, so that no request is admitted; make one with 'inkstone"
                            + " keys add NAME --data \(folder.path)'" : "keys: \(count)")
            } catch {
                report.add(.problem, "keys: no request is admitted. \(error.message)")
            }
        }
        if let failure = LinkSigner.failure(in: folder) {
            report.add(.problem, "links: no server starts. \(failure)")
        }
    }

    // MARK: - Copies

    private func checkCopies(_ report: inout Report) {
        let copy = UpgradeCopy(of: folder)
        if let record = copy.record {
            let size = FolderSize(of: copy.url, except: [folder.appending(path: "pictures")])
            let date = record.made.formatted(.iso8601)
            if !record.isComplete {
                report.add(
                    .note,
                    "upgrade: the upgrade of \(date) to version \(record.version) was interrupted;"
                        + " the next start continues it")
            }
            report.add(
                .note,
                "upgrade: the copy of before the upgrade of \(date) takes \(size.bytes.byteText); it"
                    + " is removed after --keep-days. To go back, stop the server, run"
                    + " '\(copy.wayBack)' and start the earlier version")
        } else if FileManager.default.fileExists(atPath: copy.url.path) {
            report.add(
                .problem,
                "upgrade: '\(copy.url.path)' has no record of an upgrade; move it elsewhere")
        }
        for name in DataFolder.contents(of: folder).sorted() {
            let isDamaged = name.hasPrefix("jobs.damaged-") && name.hasSuffix(".sqlite")
            guard isDamaged || name.hasPrefix(DataFolder.replacedPrefix) else { continue }
            let url = folder.appending(path: name)
            let size = FolderSize(of: url, except: [folder.appending(path: "pictures")])
            report.add(
                .note,
                "old files: '\(url.path)' takes \(size.bytes.byteText), set aside "
                    + (isDamaged ? "as damaged by an earlier version" : "by a restore")
                    + "; remove it when it is not needed")
        }
    }

    // MARK: - Space

    private func checkSpace(_ report: inout Report) {
        guard let free = StorageSpace.freeBytes(at: folder) else { return }
        let size = FolderSize(of: folder).bytes
        let text = "space: the data folder takes \(size.byteText), \(free.byteText) are free"
        if free < Self.leastFreeBytes {
            report.add(
                .problem,
                text + "; free some, or start with a smaller --keep-gb: without space"
                    + " requests are refused")
        } else {
            report.add(.good, text)
        }
        let isNew = DataFolder.size(of: folder.appending(path: "jobs.sqlite")) == nil
        guard !isNew, !StorageSpace(folder: folder).hasReserve else { return }
        report.add(
            .note,
            "space: there is no reserve file, which lets jobs be deleted when the disk is full: either the"
                + " disk was full, or an earlier version made the folder; the server creates the file"
                + " once there is space")
    }

    private func checkSockets(_ report: inout Report) {
        let folders = SocketFolder.leftovers(in: temporaryFolder)
        guard !folders.isEmpty else { return }
        report.add(
            .note,
            "sockets: folders left by killed servers: \(folders.count) (\(folders.sorted()[0])); the"
                + " next start removes them")
    }
}
