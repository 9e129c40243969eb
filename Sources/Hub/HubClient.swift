// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Transfers

/// Sends requests to a hub, with retries.
///
/// Hubs answer 429 and 5xx when they are busy: such responses, and broken connections, are retried
/// after the delay that the hub requests in `Retry-After`, or after 1, 2, 4 … seconds.
struct HubClient: Sendable {
    let hub: HubEndpoint
    let client: TransferClient
    /// How often and after which delays requests are retried.
    let retryPolicy: RetryPolicy

    /// Limits of retries.
    struct RetryPolicy: Sendable {
        /// Largest number of consecutive failures without a byte between them.
        var failures = 6
        /// Longest delay that is accepted, in seconds.
        var longestPause = 120.0
        /// The first delay, in seconds; each following one is twice as long.
        var firstPause = 1.0
        /// Seconds without a byte after which a connection counts as broken.
        var silence = 60.0
    }

    /// Longest list of files or other answer that is read.
    private static let answerLimit = 64 << 20
    private static let pageLimit = 100

    /// Connections of one download.
    static func makeClient(connections: Int) -> TransferClient {
        var settings = TransferClient.Settings()
        settings.connectionLimit = connections + 2
        return TransferClient(settings)
    }

    // MARK: Queries

    /// The commit that a revision refers to now, so that all files are of one state.
    func commit(_ repository: String, _ revision: String) async throws -> String {
        guard let address = hub.revisionAddress(repository, revision) else { return revision }
        return try RemoteListing.commit(try await answer(address, repository, revision).body)
    }

    /// All files of a revision.
    func files(_ repository: String, _ revision: String) async throws -> [RemoteFile] {
        var files: [RemoteFile] = []
        var next: String? = hub.listAddress(repository, revision)
        var pages = 0
        while let address = next {
            let (body, links) = try await answer(address, repository, revision)
            files += try RemoteListing.files(hub.kind, body)
            pages += 1
            next = RemoteListing.nextPage(links).map(own)
            guard pages < Self.pageLimit else {
                throw HubError(.corrupt, "\(repository) has more files than can be listed.")
            }
        }
        guard Set(files.map { $0.path.lowercased() }).count == files.count else {
            throw HubError(.corrupt, "the hub lists a file of \(repository) twice.")
        }
        return files
    }

    /// The same page on this hub: mirrors pass on the links of the original hub, and the token must not
    /// be sent to another host.
    private func own(_ link: String) -> String {
        if link.hasPrefix(hub.address + "/") { return link }
        let parts = URLComponents(string: link)
        return hub.address + (parts?.percentEncodedPath ?? "")
            + (parts?.percentEncodedQuery.map { "?" + $0 } ?? "")
    }

    private func answer(
        _ address: String, _ repository: String, _ revision: String
    ) async throws -> (body: Data, links: [String]) {
        var attempts = Attempts(retryPolicy)
        while true {
            do {
                let response = try await send(address)
                try check(response, "\(repository) at revision '\(revision)'")
                let body = try await response.body.collect(upTo: Self.answerLimit)
                return (Data(body), response.headers.all("Link"))
            } catch {
                try await attempts.failed(error, at: hub.address)
            }
        }
    }

    /// Sends a request; a status that requests a retry throws `Busy`.
    func send(_ address: String, from offset: Int = 0) async throws -> TransferResponse {
        var request = TransferRequest(address)
        request.headers = ["User-Agent": "inkstone", "Accept-Encoding": "identity"]
        if let token = hub.token { request.headers.add("Authorization", "Bearer \(token)") }
        if offset > 0 { request.headers.add("Range", "bytes=\(offset)-") }
        request.redirectLimit = 10
        // The duration of the body is not limited as long as bytes arrive.
        request.silenceTimeout = .seconds(retryPolicy.silence)
        let response = try await client.send(request)
        if [408, 429].contains(response.status) || response.status >= 500 {
            throw Busy(
                status: response.status,
                pause: response.headers.first("Retry-After").flatMap(Busy.seconds))
        }
        return response
    }

    /// Throws for responses that a retry does not change.
    func check(_ response: TransferResponse, _ what: String) throws(HubError) {
        switch response.status {
        case 200, 206: return
        case 401, 403:
            throw HubError(
                .denied,
                "\(hub.address) does not provide \(what) \(hub.token == nil ? "without a token" : "with this token")"
                    + " (status \(response.status)): accept the model's terms there, and set"
                    + " --token or \(hub.kind.tokenVariable).")
        case 404, 410:
            throw HubError(
                .notFound,
                "\(hub.address) has no \(what); check the names, or set --token if it is private.")
        default:
            throw HubError(
                .network, "\(hub.address) answers \(what) with status \(response.status).")
        }
    }
}

/// The hub requests a retry.
struct Busy: Error {
    let status: Int
    /// The delay in seconds, if the hub states one.
    let pause: Double?

    /// The delay of a `Retry-After` header in seconds; the header holds seconds or a date.
    static func seconds(_ text: String) -> Double? {
        if let seconds = Double(text) { return seconds.isFinite ? max(0, seconds) : nil }
        let format = DateFormatter()
        format.locale = Locale(identifier: "en_US_POSIX")
        format.timeZone = TimeZone(identifier: "GMT")
        format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss zzz"
        return format.date(from: text).map { max(0, $0.timeIntervalSinceNow) }
    }
}

/// Counts consecutive failures, and waits between them.
struct Attempts {
    private let policy: HubClient.RetryPolicy
    private var failures = 0

    init(_ policy: HubClient.RetryPolicy) { self.policy = policy }

    /// Resets the count: bytes have arrived.
    mutating func succeeded() { failures = 0 }

    /// Waits before the next attempt.
    ///
    /// - Throws: the error itself when another attempt would not help, or after too many.
    mutating func failed(_ error: any Error, at address: String) async throws {
        if error is HubError || error is CancellationError { throw error }
        failures += 1
        let busy = error as? Busy
        let pause = busy?.pause ?? min(30, policy.firstPause * Double(1 << min(failures - 1, 10)))
        guard failures < policy.failures, pause <= policy.longestPause else {
            throw HubError(.network, Self.text(error, busy, address, failures))
        }
        try await Task.sleep(for: .seconds(pause))
    }

    private static func text(
        _ error: any Error, _ busy: Busy?, _ address: String, _ failures: Int
    ) -> String {
        let again = "; run the same command again to resume."
        guard let busy else {
            return "\(address) cannot be read, tried \(failures) times: \(error)\(again)"
        }
        let delay =
            busy.pause.map { ", and requests a delay of \(Int($0.rounded(.up))) s" } ?? ""
        return "\(address) is busy, tried \(failures) times: it answers with status"
            + " \(busy.status)\(delay)\(again)"
    }
}
