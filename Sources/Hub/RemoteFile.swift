// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation

/// A file of a repository, as the hub announces it.
struct RemoteFile: Sendable, Equatable, Codable {
    /// How the hub proves a file's content.
    enum Digest: Sendable, Equatable, Codable {
        /// SHA-256 of the content, in hexadecimal digits.
        case sha256(String)
        /// SHA-1 of git's blob: `blob`, a space, the size, a zero, the content.
        case gitBlob(String)

        /// The digits.
        var digits: String {
            switch self {
            case .sha256(let digits), .gitBlob(let digits): digits
            }
        }
    }

    /// Path within the repository.
    let path: String
    /// Bytes.
    let size: Int
    /// What proves its content.
    let digest: Digest

    private static let sizeLimit = 1 << 44

    /// Validates the entry of a hub, which is not trusted.
    ///
    /// - Throws: `HubError` of code `corrupt`.
    init(path: String, size: Int, sha256: String?, gitBlob: String?) throws(HubError) {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard !path.isEmpty, path.utf8.count <= 1000, parts.count <= 16,
            parts.allSatisfy({ !$0.isEmpty && $0.first != "." && $0.utf8.count <= 200 }),
            path.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F && $0 != "\\" })
        else {
            throw HubError(
                .corrupt,
                "the hub lists a file \(path.debugDescription), which is not a valid path.")
        }
        guard (0...Self.sizeLimit).contains(size) else {
            throw HubError(.corrupt, "the hub gives '\(path)' a size of \(size) bytes.")
        }
        self.path = path
        self.size = size
        if let sha256 = sha256?.lowercased(), Self.isHexadecimal(sha256, digits: 64) {
            digest = .sha256(sha256)
        } else if let gitBlob = gitBlob?.lowercased(), Self.isHexadecimal(gitBlob, digits: 40) {
            digest = .gitBlob(gitBlob)
        } else {
            throw HubError(
                .corrupt, "the hub gives '\(path)' no checksum, expected SHA-256 or SHA-1.")
        }
    }

    private static func isHexadecimal(_ text: String, digits: Int) -> Bool {
        text.utf8.count == digits && text.allSatisfy(\.isHexDigit)
    }

    /// Returns the hash that gives the digest after all bytes of the file.
    func emptyHash() -> IncrementalHash {
        switch digest {
        case .sha256: return IncrementalHash(.sha256)
        case .gitBlob:
            var hash = IncrementalHash(.sha1)
            Array("blob \(size)\0".utf8).withUnsafeBytes { hash.update($0) }
            return hash
        }
    }
}
