// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// Merges the results of several load generators that shared a plan into the result of one run.
///
/// Times are moved to the clock of the first part; the clocks of the machines must agree, for instance by NTP. Each
/// record is kept as it is otherwise. A level is held while all of its parts were.
public struct RunMerge {
    /// The folders of the parts and their manifests, in order.
    private let parts: [(folder: ResultFolder, manifest: Manifest)]

    /// Reads the manifests of the parts.
    ///
    /// - Throws: `ResultError` when they are not the parts of one plan, all of them and each once.
    public init(_ folders: [ResultFolder]) throws {
        let all = try folders.map { ($0, try $0.manifest()) }
        guard let first = all.first?.1 else { throw ResultError("There is no run to merge.") }
        for (folder, manifest) in all {
            guard let part = manifest.part else {
                throw ResultError(
                    "\(folder.url.path) is not a part of a run; imgbench run --part 1/2 writes one."
                )
            }
            guard part.count == first.part?.count, manifest.planDigest == first.planDigest,
                manifest.scenarioDigest == first.scenarioDigest
            else {
                throw ResultError(
                    "\(folder.url.path) has another plan than \(folders[0].url.path); run all parts with"
                        + " the same scenario, seed and number of parts.")
            }
        }
        let count = first.part?.count ?? 0
        let numbers = all.compactMap { $0.1.part?.number }.sorted()
        guard numbers == Array(1...max(1, count)) else {
            let list = numbers.map(String.init).joined(separator: ", ")
            throw ResultError(
                "Expected each of the \(count) parts once, got parts \(list).")
        }
        parts = all.sorted { ($0.1.part?.number ?? 0) < ($1.1.part?.number ?? 0) }
            .map { (folder: $0.0, manifest: $0.1) }
    }

    /// Writes the merged result.
    ///
    /// - Returns: its manifest.
    /// - Throws: `ResultError` when a request was sent twice, or when a file cannot be read or written.
    @discardableResult
    public func write(to folder: ResultFolder) throws -> Manifest {
        let first = parts[0]
        var manifest = first.manifest
        let suffix = "-part-1-of-\(parts.count)"
        manifest.run = manifest.run.replacing(suffix, with: "") + "-merged"
        manifest.part = nil
        manifest.parts = parts.map(\.manifest.run)
        manifest.target.process = parts.compactMap(\.manifest.target.process).first
        if parts.contains(where: { $0.manifest.status != .complete }) { manifest.status = .partial }
        let levels = manifest.levels.filter { visit in
            parts.allSatisfy { part in
                FileManager.default.fileExists(atPath: part.folder.level(visit).resultFile.path)
            }
        }
        if levels.count < manifest.levels.count { manifest.status = .partial }
        for visit in levels { try write(visit, to: folder) }
        try copy(first.folder.scenarioFile, to: folder.scenarioFile)
        try copy(first.folder.planFile, to: folder.planFile)
        try copyProbes(to: folder)
        for part in parts { try copyImages(part, to: folder) }
        try folder.write(manifest)
        return manifest
    }

    // MARK: Levels

    private func write(_ visit: LevelVisit, to folder: ResultFolder) throws {
        var level = LevelMerge(visit)
        for part in parts {
            let place = part.folder.level(visit)
            var records = try place.requests()
            for index in records.indices {
                guard let file = records[index].image?.file else { continue }
                records[index].image?.file = Self.renamed(file, part.manifest)
            }
            level.add(
                records, try place.result(), shift: shift(of: part.manifest),
                log: try? String(contentsOf: place.accessLogFile, encoding: .utf8),
                metrics: (
                    try? Data(contentsOf: place.metricsBeforeFile),
                    try? Data(contentsOf: place.metricsAfterFile)
                ))
        }
        let place = folder.level(visit)
        let result = try level.result()
        try ResultFolder.write(try RecordCoding.lines(level.records), to: place.requestsFile)
        try place.write(result)
        try place.write(SeriesBin.bins(level.records, phases: result.phases, samples: []))
        if let log = level.log {
            try ResultFolder.write(Data(log.utf8), to: place.accessLogFile)
        }
        if let before = level.before, let after = level.after {
            try ResultFolder.write(before, to: place.metricsBeforeFile)
            try ResultFolder.write(after, to: place.metricsAfterFile)
        }
    }

    /// Nanoseconds to add to the times of a part to get those of the first part's clock.
    private func shift(of manifest: Manifest) -> Int64 {
        func origin(_ anchor: ClockAnchor) -> Int64 {
            1000 * anchor.unixMicroseconds - anchor.monotonic
        }
        return origin(manifest.clock) - origin(parts[0].manifest.clock)
    }

    // MARK: Files

    private func copy(_ file: URL, to other: URL) throws {
        guard let data = try? Data(contentsOf: file) else {
            throw ResultError("\(file.path) cannot be read; the run is not complete.")
        }
        try ResultFolder.write(data, to: other)
    }

    /// Copies the audit's own requests, which the first part sends.
    private func copyProbes(to folder: ResultFolder) throws {
        let source = parts[0].folder.probes.url
        guard FileManager.default.fileExists(atPath: source.path) else { return }
        for file in (try? FileManager.default.contentsOfDirectory(atPath: source.path)) ?? [] {
            try copy(source.appending(path: file), to: folder.probes.url.appending(path: file))
        }
    }

    private func copyImages(
        _ part: (folder: ResultFolder, manifest: Manifest), to folder: ResultFolder
    ) throws {
        let source = part.folder.imagesFolder
        for file in (try? FileManager.default.contentsOfDirectory(atPath: source.path)) ?? [] {
            let name = Self.renamed("images/" + file, part.manifest)
            try copy(source.appending(path: file), to: folder.url.appending(path: name))
        }
    }

    /// The name of an image in the merged folder: parts prime with requests of the same number.
    private static func renamed(_ file: String, _ manifest: Manifest) -> String {
        file.replacing("images/", with: "images/part-\(manifest.part?.number ?? 1)-")
    }
}
