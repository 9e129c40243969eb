// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Transfers

/// Fetches one file, from where an earlier attempt stopped, until it is there and proved.
struct Download: Sendable {
    let client: HubClient
    let repository: String
    let revision: String
    let file: RemoteFile
    /// Where the finished file goes.
    let target: URL
    /// Told how many bytes of the file there are, more or fewer than before.
    let onBytes: @Sendable (Int) -> Void

    /// The unfinished file; another content has another name.
    static func part(of target: URL, _ file: RemoteFile) -> URL {
        target.deletingLastPathComponent().appending(
            path: "\(target.lastPathComponent).\(file.digest.digits.prefix(12)).part")
    }

    /// How often wrong content is fetched again before the hub counts as broken.
    private static let wrongLimit = 2

    /// Runs until the file is complete and its checksum is verified.
    ///
    /// - Throws: `HubError`, or `CancellationError`.
    func run() async throws {
        let part = try PartFile(Self.part(of: target, file), for: file)
        onBytes(part.size)
        var attempts = Attempts(client.retryPolicy)
        // Only new bytes count as progress: a hub may fail for ever.
        var most = part.size
        var wrong = 0
        while true {
            do {
                if part.size < file.size || file.size == 0 {
                    try await fetch(into: part) { size in
                        if size > most { attempts.succeeded() }
                        most = max(most, size)
                    }
                }
                if part.isIntact { break }
                throw Damaged(finding: "its checksum was wrong")
            } catch let damage as Damaged {
                try part.restart()
                onBytes(0)
                (wrong, most) = (wrong + 1, 0)
                guard wrong < Self.wrongLimit else {
                    throw HubError(
                        .corrupt,
                        "'\(file.path)' of \(repository) comes damaged from \(client.hub.address):"
                            + " \(damage.finding), \(wrong) times; nothing was put in place, try again"
                            + " later or another --endpoint.")
                }
            } catch {
                try await attempts.failed(error, at: client.hub.address)
            }
        }
        try part.commit(as: target)
    }

    /// The bytes are not those that were announced.
    private struct Damaged: Error {
        let finding: String
    }

    /// The connection ended before the file did.
    private struct Ended: Error, CustomStringConvertible {
        let description: String
    }

    /// Reads from the hub until the file is complete or the connection ends.
    private func fetch(into part: PartFile, _ arrived: (Int) -> Void) async throws {
        let address = client.hub.fileAddress(repository, revision, file.path)
        let response = try await client.send(address, from: part.size)
        if response.status == 416 {
            // The hub has fewer bytes than it said, or does not do ranges.
            try part.restart()
            onBytes(0)
            throw Ended(description: "the hub refuses to go on in the middle of '\(file.path)'")
        }
        try client.check(response, "'\(file.path)' of \(repository)")
        if response.status == 206 {
            try checkRange(response, part)
        } else if part.size > 0 {
            try part.restart()
            onBytes(0)
        }
        for try await bytes in response.body {
            try Task.checkCancellation()
            guard part.size + bytes.count <= file.size else {
                throw Damaged(finding: "it is longer than the \(file.size) bytes announced")
            }
            try part.append(bytes[...])
            onBytes(part.size)
            arrived(part.size)
        }
        guard part.size == file.size else {
            throw Ended(
                description: "the connection ended after \(part.size) of \(file.size) bytes of"
                    + " '\(file.path)'")
        }
    }

    /// A part must begin where it was asked to.
    private func checkRange(_ response: TransferResponse, _ part: PartFile) throws {
        let text = response.headers.first("Content-Range") ?? ""
        let wanted = "bytes \(part.size)-"
        guard text.hasPrefix(wanted), text.hasSuffix("/\(file.size)") || text.hasSuffix("/*") else {
            try part.restart()
            onBytes(0)
            throw Ended(
                description: "the hub sends another part of '\(file.path)' than was asked for")
        }
    }
}
