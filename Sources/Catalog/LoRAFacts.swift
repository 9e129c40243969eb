// Part of Inkstone. Licence: see LICENSE.

public import Foundation
import Imaging
import ModelFiles
import ZImage

/// What a LoRA file contains, as far as its header and a model's layers say.
///
/// The file is untrusted: a service reads it in a separate process (`write(of:matching:to:)`), and
/// keeps the result.
public struct LoRAFacts: Sendable, Codable, Equatable {
    /// Number of bytes of all tensors.
    public let bytes: Int
    /// The thumbnail in the file's metadata, as a PNG file.
    public var thumbnail: Data?
    /// Its title, what it does and what calls it in a prompt; `nil` in results of a program without them.
    public let words: Words?
    /// Which of its keys match a layer; `nil` if it was not matched with models.
    public let match: Match?

    /// Longest side of a thumbnail.
    private static let side = 128

    /// The result of matching a file's keys with a model's layers.
    public struct Match: Sendable, Codable, Equatable {
        /// Number of weights that the file changes.
        public var matched: Int
        /// Keys that match no layer, 1,000 at most.
        public var unmatched: [String]
        /// Keys without an effect, 1,000 at most.
        public var unused: [String]
        /// A warning for the user, if any.
        public var warning: String?
    }

    /// The reason why a file cannot be used.
    public struct Refusal: Error, Sendable, Equatable {
        /// One sentence or two.
        public let message: String

        /// A refusal with this message.
        public init(message: String) { self.message = message }
    }

    /// Reads a file's header and thumbnail.
    ///
    /// - Parameters:
    ///   - url: the file.
    ///   - models: models, at least one of which must be able to use the file; `nil` to match none.
    /// - Throws: `Refusal`.
    public init(of url: URL, matching models: [URL]? = nil) throws(Refusal) {
        do {
            let file = try LoRAFile(url: url)
            match = try models.map { try Self.match(file, with: $0) }
            bytes = file.byteCount
            thumbnail = Self.thumbnail(file.metadata)
            words = Words(file.metadata)
        } catch {
            throw Refusal(message: "\(error)".withoutName(of: url))
        }
    }

    /// Decodes the untrusted image and encodes it again.
    private static func thumbnail(_ metadata: [String: String]) -> Data? {
        guard let text = metadata["modelspec.thumbnail"] ?? metadata["thumbnail"],
            text.hasPrefix("data:image/"), text.utf8.count < 4 << 20,
            let comma = text.firstIndex(of: ","),
            let data = Data(base64Encoded: String(text[text.index(after: comma)...])),
            let image = try? ImageDecoder.decode(
                [UInt8](data), limits: ImageLimits(maximumPixels: 1 << 22)
            ).flattened()
        else { return nil }
        let longest = max(image.width, image.height)
        var small = image
        if longest > side {
            guard
                let resized = try? image.resized(
                    width: max(1, image.width * side / longest),
                    height: max(1, image.height * side / longest))
            else { return nil }
            small = resized
        }
        return (try? ImageEncoder.encode(small)).map { Data($0) }
    }

    /// Matches a file with models, the first of which that can use it decides.
    private static func match(_ file: LoRAFile, with models: [URL]) throws -> Match {
        var failure: (any Error)?
        for model in models {
            do {
                let targets: LoRATargets
                do {
                    targets = try LoRATargets(model: try ModelDirectory(url: model))
                } catch {
                    // The sender of a file need not learn about the files of a model.
                    throw Refusal(
                        message: "The model in '\(model.lastPathComponent)' cannot be read.")
                }
                let report = try file.contents(for: targets).report
                return Match(
                    matched: report.matched, unmatched: report.unmatched.shortened,
                    unused: report.unused.shortened,
                    warning: report.warning?.withoutName(of: file.url))
            } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
        return Match(matched: 0, unmatched: [], unused: [], warning: nil)
    }

    // MARK: - Between processes

    /// The facts of a file, or why there are none.
    private struct Report: Codable {
        var facts: LoRAFacts?
        var refusal: String?
    }

    /// Reads a file and writes the result, for another process.
    ///
    /// - Throws: what writing throws.
    public static func write(of url: URL, matching models: [URL]?, to target: URL) throws {
        var report = Report()
        do throws(Refusal) {
            report.facts = try LoRAFacts(of: url, matching: models)
        } catch { report.refusal = error.message }
        try JSONEncoder().encode(report).write(to: target)
    }

    /// The result that such a process wrote.
    ///
    /// - Throws: `Refusal`, also for a result that cannot be read.
    public init(writtenTo data: Data) throws(Refusal) {
        let report = try? JSONDecoder().decode(Report.self, from: data)
        guard let facts = report?.facts else {
            throw Refusal(message: report?.refusal ?? "The file cannot be read.")
        }
        self = facts
    }
}

extension [String] {
    /// At most 1,000 of them, each of at most 200 characters.
    fileprivate var shortened: [String] { prefix(1000).map { String($0.prefix(200)) } }
}

extension String {
    /// Without the path of a file, which has a temporary name while it is checked.
    fileprivate func withoutName(of url: URL) -> String {
        replacing(url.path, with: "the file")
            .replacing(url.lastPathComponent, with: "that was sent")
    }
}
