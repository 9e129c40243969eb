// Part of Inkstone. Licence: see LICENSE.

public import Foundation
import Imaging
import ModelFiles
import ZImage

/// Size and thumbnail of a LoRA file.
public struct LoRAFacts: Sendable {
    /// Number of bytes of all tensors.
    public let bytes: Int
    /// The thumbnail in the file's metadata, as a PNG file.
    public let thumbnail: [UInt8]?

    /// Longest side of a thumbnail.
    private static let side = 128

    /// Reads a file's header; `nil` for one that cannot be read.
    public init?(of url: URL) {
        guard let file = try? LoRAFile(url: url) else { return nil }
        bytes = file.byteCount
        thumbnail = Self.thumbnail(file.metadata)
    }

    /// Decodes the untrusted image and encodes it again.
    private static func thumbnail(_ metadata: [String: String]) -> [UInt8]? {
        guard let text = metadata["modelspec.thumbnail"] ?? metadata["thumbnail"],
            text.hasPrefix("data:image/"), text.utf8.count < 4 << 20,
            let comma = text.firstIndex(of: ","),
            let data = Data(base64Encoded: String(text[text.index(after: comma)...])),
            let image = try? ImageDecoder.decode(
                [UInt8](data), limits: ImageLimits(maximumPixels: 1 << 22)
            ).flattened()
        else { return nil }
        let longest = max(image.width, image.height)
        guard longest > side else { return try? ImageEncoder.encode(image) }
        let small = try? image.resized(
            width: max(1, image.width * side / longest),
            height: max(1, image.height * side / longest))
        return small.flatMap { try? ImageEncoder.encode($0) }
    }

    /// The result of matching a file's keys with a model's layers.
    public struct Match: Sendable, Equatable {
        /// Number of weights that the file changes.
        public var matched: Int
        /// Keys that match no layer.
        public var unmatched: [String]
        /// Keys without an effect.
        public var unused: [String]
        /// A warning for the user, if any.
        public var warning: String?
    }

    /// The reason why a file cannot be used.
    public struct Refusal: Error, Sendable, Equatable {
        /// One sentence or two.
        public let message: String
    }

    /// Matches a file with models, at least one of which must be able to use it.
    ///
    /// - Throws: `Refusal`.
    public static func match(_ url: URL, with models: [URL]) throws(Refusal) -> Match {
        do {
            let file = try LoRAFile(url: url)
            var failure: (any Error)?
            for model in models {
                do {
                    let targets = try LoRATargets(model: try ModelDirectory(url: model))
                    let report = try file.contents(for: targets).report
                    return Match(
                        matched: report.matched, unmatched: report.unmatched,
                        unused: report.unused, warning: report.warning)
                } catch { failure = failure ?? error }
            }
            if let failure { throw failure }
            return Match(matched: 0, unmatched: [], unused: [], warning: nil)
        } catch {
            // The file has a temporary name while it is checked.
            let message = "\(error)".replacing(url.path, with: "the file")
                .replacing(url.lastPathComponent, with: "that was sent")
            throw Refusal(message: message)
        }
    }
}
