// Part of Inkstone. Licence: see LICENSE.

import Synchronization

/// The jobs of calls in progress, for clients that cancel them.
final class MCPCalls: Sendable {
    /// A call as its client names it; ids are the client's own, and distinct within its session only.
    struct Name: Hashable {
        /// Value of `Mcp-Session-Id`.
        var session: String
        /// The key of the client.
        var owner: String?
        /// The id of the request, as JSON.
        var id: String
    }

    private let jobs = Mutex<[Name: String]>([:])

    /// Notes the job of a call.
    func begin(_ name: Name, job: String) { jobs.withLock { $0[name] = job } }

    /// Forgets a call that has ended.
    func end(_ name: Name) { jobs.withLock { $0[name] = nil } }

    /// The job of a call in progress.
    func job(of name: Name) -> String? { jobs.withLock { $0[name] } }
}
