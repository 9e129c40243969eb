// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation
import GRDB

extension DataFolderCheck {
    /// Compares rows and files.
    func checkFiles(_ rows: StoredRows, _ state: FolderState, _ report: inout Report) {
        let folders = [("pictures", rows.images), ("sources", rows.sources)].map {
            (ImageFiles(existing: folder.appending(path: $0)), $1)
        }
        let missing = folders.flatMap { files, rows in rows.filter { !isWhole($0, in: files) } }
        let jobs = jobs(of: missing)
        if jobs.isEmpty {
            report.add(
                .good,
                "images: all there, \(rows.images.count) made by jobs, \(rows.sources.count) that jobs"
                    + " start from")
        } else {
            report.add(
                .problem,
                "images: files of \(jobs.count == 1 ? "a job" : "\(jobs.count) jobs") are missing or cut off"
                    + " (\(jobs.prefix(3).joined(separator: ", "))\(jobs.count > 3 ? ", ..." : ""));"
                    + " restore a backup, or delete these jobs with DELETE /api/jobs/ID; the server"
                    + " runs without the files")
        }
        guard !state.isInUse else { return }
        let unused = folders.flatMap { unusedFiles(in: $0, besides: $1) }
        guard !unused.isEmpty else { return }
        let bytes = unused.reduce(0) { $0 + (DataFolder.size(of: $1) ?? 0) }
        report.add(
            .note,
            "images: files without a job, left by a server that was killed: \(unused.count),"
                + " \(bytes.byteText); the next start removes them")
    }

    /// Whether a file is there in its size.
    private func isWhole(_ file: StoredRows.File, in files: ImageFiles) -> Bool {
        guard let url = files.url(file.name), let size = DataFolder.size(of: url) else {
            return false
        }
        return file.size.map { $0 == size } ?? (size > 0)
    }

    /// The jobs of files, without those that a server has removed since their rows were read.
    private func jobs(of files: [StoredRows.File]) -> [String] {
        guard !files.isEmpty else { return [] }
        let url = folder.appending(path: "jobs.sqlite")
        guard let now = try? JobStore.reader(of: url).read(JobBackup.fileNames) else { return [] }
        let named = now.images.union(now.sources)
        var seen: Set<String> = []
        return files.filter { named.contains($0.name) }.map(\.job).filter {
            seen.insert($0).inserted
        }
    }

    /// Files that no row names, and temporary ones.
    private func unusedFiles(in files: ImageFiles, besides rows: [StoredRows.File]) -> [URL] {
        let named = Set(rows.map(\.name))
        return (0..<256).flatMap { number in
            let part = number.hexadecimal(digits: 2)
            return files.names(in: part).filter { !named.contains($0) }.compactMap(files.url)
                + files.temporaryFiles(in: part)
        }
    }

    /// Reports what else a killed process has left: uploads that were not complete, copies, temporary files.
    func checkLeftovers(_ report: inout Report) {
        let loras = folder.appending(path: "loras")
        let names =
            DataFolder.contents(of: folder).filter { $0.hasPrefix(".") && $0.hasSuffix(".tmp") }
            + DataFolder.partialCopies(in: folder)
            // The gateway's uploads of LoRA files.
            + DataFolder.contents(of: loras).filter { $0.hasPrefix(".upload-") }.map {
                "loras/\($0)"
            }
        guard !names.isEmpty else { return }
        let bytes = names.reduce(0) { $0 + FolderSize(of: folder.appending(path: $1)).bytes }
        report.add(
            .note,
            "left over: uploads or files that were being written: \(names.count),"
                + " \(bytes.byteText) (\(names.sorted()[0])); the next start removes them")
    }
}
