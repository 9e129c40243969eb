// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// Checks the images of a run, level by level, after each level's drain: nothing of this takes
/// processor time while a load runs.
actor ImageChecker {
    /// Number of images of a level that are saved for the report.
    static let sample = 8

    private let folder: ResultFolder
    private let seed: UInt64
    /// The first request with each pixel digest.
    private var owners: [String: (id: String, parameters: RequestParameters)] = [:]

    init(folder: ResultFolder, seed: UInt64) {
        self.folder = folder
        self.seed = seed
    }

    /// Checks the images of a level; returns the completed records in the same order.
    func check(
        _ entries: [LevelState.Entry], _ store: ImageStore, _ visit: RunPlan.Visit,
        _ sources: SourceImages
    ) -> [LoadRequestRecord] {
        // The images of the level by position, for the turns that change them.
        var digests: [Int: String] = [:]
        var generator = SplitMix64(seed: seed &+ UInt64(visit.content))
        let chosen = Set(entries.indices.shuffled(using: &generator).prefix(Self.sample))
        return entries.enumerated().map { index, entry in
            var record = entry.record
            guard let token = entry.image else { return record }
            guard let file = store.image(token)?.decoded else {
                fail(&record, .decode, "the base64 cannot be decoded")
                return record
            }
            let found = ImageCheck.check(file, wanted: record.parameters)
            record.image = found.facts ?? record.image
            if let error = found.error { fail(&record, error, found.detail) }
            if record.purpose == .load { digests[record.sequence] = record.image?.pixelDigest }
            if let source = record.parameters.source,
                let digest = record.image?.pixelDigest,
                digest == Self.digest(of: source, digests, sources)
            {
                fail(&record, .unchanged, "the pixels of the source image")
            }
            checkUnique(&record)
            if visit.savesImages || chosen.contains(index) || found.error != nil
                || record.error == .duplicate
            {
                let path = save(file, record)
                record.image?.file = path
            }
            return record
        }
    }

    /// The digest of the pixels of a source image.
    private static func digest(
        of source: SourceParameters, _ earlier: [Int: String], _ sources: SourceImages
    ) -> String? {
        if let position = source.previous { return earlier[position] }
        return source.seed.flatMap {
            sources.image(width: source.width, height: source.height, seed: $0)?.digest
        }
    }

    /// Records the first request with these pixels; equal pixels of other parameters are an error.
    private func checkUnique(_ record: inout LoadRequestRecord) {
        guard let digest = record.image?.pixelDigest, record.error == nil else { return }
        guard let owner = owners[digest] else {
            owners[digest] = (record.id, record.parameters)
            return
        }
        if owner.parameters.withoutDelivery != record.parameters.withoutDelivery {
            fail(&record, .duplicate, "the same pixels as \(owner.id)")
        }
    }

    private func fail(_ record: inout LoadRequestRecord, _ error: ErrorClass, _ detail: String?) {
        guard record.error == nil else { return }
        record.error = error
        record.errorDetail = detail
    }

    /// Writes the file below `images`; returns its path in the result folder, `nil` when that fails.
    private func save(_ file: [UInt8], _ record: LoadRequestRecord) -> String? {
        let format = record.image?.format ?? "bin"
        let name =
            "\(record.level)-r\(record.visit)-"
            + (record.purpose == .load ? "" : record.purpose.rawValue + "-")
            + "\(record.sequence).\(format)"
        do {
            try ResultFolder.write(Data(file), to: folder.imagesFolder.appending(path: name))
            return "images/" + name
        } catch {
            return nil
        }
    }
}
