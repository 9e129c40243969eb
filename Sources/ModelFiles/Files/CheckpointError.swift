// Part of Inkstone. Licence: see LICENSE.

import Basics
package import Foundation

/// An error of reading or writing a checkpoint.
///
/// The command line exits with 66 for `notFound` and `denied`, and with 65 for the other codes of reading.
public struct CheckpointError: Error, Sendable, CustomStringConvertible {
    /// Coarse reason; switch on this.
    public enum Code: Sendable, Equatable, CaseIterable {
        /// The file or folder that was asked for does not exist.
        case notFound
        /// This user may not read it, or a folder on its path.
        case denied
        /// It exists, but is not a readable file: a folder, a device, a link to itself.
        case unreadable
        /// A file ends before its data does.
        case truncated
        /// The header of a safetensors or GGUF file is damaged or inconsistent.
        case badHeader
        /// A JSON file is damaged, incomplete or has invalid values.
        case badConfig
        /// A part of the model is missing.
        case incomplete
        /// A tensor that the model requires is missing.
        case missingTensor
        /// A tensor is not part of the model.
        case unexpectedTensor
        /// The shape or type of a tensor differs from the configuration.
        case badTensor
        /// A valid file requires something that is not supported.
        case unsupported
        /// A file could not be written.
        case writeFailed
    }

    /// Coarse reason.
    public let code: Code
    /// One sentence without a newline: what, where, expected, found.
    public let message: String
    /// What the reader can do, or `nil`.
    public let remedy: String?
    /// The underlying error, or `nil`.
    public let cause: (any Error)?

    /// An error of the given code; control characters in the texts become spaces.
    public init(
        code: Code, message: String, remedy: String? = nil, cause: (any Error)? = nil
    ) {
        self.code = code
        self.message = message.onOneLine
        self.remedy = remedy.map(\.onOneLine)
        self.cause = cause
    }

    /// An error about something that this user may not read; names the item whose permissions are in the way.
    package init(denied url: URL) {
        let barrier = FileKind.barrier(before: url.path) ?? url.path
        let place = barrier == url.path ? "" : ": the folder \(barrier.quoted) may not be searched"
        self.init(
            code: .denied,
            message: "\(url.path.quoted) may not be read by this user\(place) (permission denied).",
            remedy: "Change the permissions, or run this as a user who has them.")
    }

    /// The message and, if there is one, the remedy.
    public var description: String {
        [message, remedy].compactMap(\.self).joined(separator: " ")
    }
}

extension [String] {
    /// `'a', 'b' and 3 more`: the first `limit` names, quoted.
    func listed(limit: Int = 8) -> String {
        listedTexts(map(\.quoted), limit: limit)
    }
}

/// `a, b and 3 more`: the first `limit` texts.
func listedTexts(_ texts: [String], limit: Int = 8) -> String {
    guard texts.count > limit else { return texts.joined(separator: ", ") }
    return texts.prefix(limit).joined(separator: ", ") + " and \(texts.count - limit) more"
}
