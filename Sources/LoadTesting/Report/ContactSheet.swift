// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Imaging

/// Thumbnails of saved images of a run, embedded in the page.
struct ContactSheet {
    /// An image with its caption.
    struct Entry {
        var source: String
        var caption: String
        /// Whether its pixels equal those of a different request.
        var isDuplicate: Bool
        var isFaulty: Bool
    }

    /// Maximum number of images on a page.
    static let limit = 24
    /// Longest edge of a thumbnail in pixels.
    private static let edge = 160

    /// Selects from the saved images: those that failed a check first, then a sample spread over the
    /// levels.
    static func entries(_ evidence: RunEvidence, in folder: ResultFolder) -> [Entry] {
        let records = evidence.levels.flatMap(\.records).filter { $0.image?.file != nil }
        let digests = Dictionary(
            grouping: evidence.levels.flatMap(\.load).filter { $0.image?.pixelDigest != nil }
        ) { $0.image?.pixelDigest ?? "" }
        let isDuplicate = { (record: LoadRequestRecord) -> Bool in
            Set(
                digests[record.image?.pixelDigest ?? ""]?.map {
                    "\($0.parameters.seed) \($0.parameters.prompt)"
                } ?? []
            )
            .count > 1
        }
        let faulty = records.filter { $0.error != nil || isDuplicate($0) }
        let good = records.filter { $0.error == nil && !isDuplicate($0) }
        var chosen = Array(faulty.prefix(limit / 2))
        let remaining = limit - chosen.count
        let stride = max(1, good.count / max(1, remaining))
        chosen += good.enumerated().filter { $0.offset.isMultiple(of: stride) }.map(\.element)
            .prefix(remaining)
        return chosen.compactMap { record in
            guard let file = record.image?.file,
                let source = small(folder.url.appending(path: file))
            else { return nil }
            let request = record.parameters
            return Entry(
                source: source,
                caption:
                    "\(request.prompt) · \(request.size) · \(request.steps) steps · seed \(request.seed)"
                    + (record.error.map { " · \($0.rawValue)" } ?? ""),
                isDuplicate: isDuplicate(record), isFaulty: record.error != nil)
        }
    }

    /// A thumbnail as a data URL; `nil` when the image cannot be read.
    static func small(_ file: URL) -> String? {
        guard let image = try? ImageFile.read(from: file.path).flattened() else { return nil }
        let longest = max(image.width, image.height)
        let scale = min(1, Double(edge) / Double(longest))
        guard
            let small = try? image.resized(
                width: max(1, Int(Double(image.width) * scale)),
                height: max(1, Int(Double(image.height) * scale))),
            let bytes = try? ImageEncoder.encode(small, as: .jpeg(quality: 85))
        else { return nil }
        return "data:image/jpeg;base64," + Data(bytes).base64EncodedString()
    }
}
