// Part of Inkstone. Licence: see LICENSE.

import Engine
import HTTPTypes
import Service

extension Gateway {
    /// Counts a request for pictures as one of its key's.
    ///
    /// - Returns: what to call when it has ended.
    /// - Throws: `APIError` 429 when the holder of the key has to wait, 403 for a priority that he may
    ///   not ask for.
    func count(
        _ request: ImageRequest, _ context: GatewayContext
    ) async throws(APIError) -> @Sendable () -> Void {
        guard let key = context.key else { return {} }
        let highest = key.priority ?? .normal
        guard request.priority <= highest else {
            throw APIError(
                .forbidden, type: "permission_error", code: "priority_not_allowed",
                parameter: "priority",
                "The key '\(key.name)' may ask for the priority \(highest.rawValue) at most"
                    + " ('inkstone keys add NAME --priority high').")
        }
        var elsewhere = KeyUsage.Elsewhere()
        if key.concurrency != nil || key.perMinute != nil {
            elsewhere = await jobs.elsewhere(key.name)
        }
        if let refusal = keyUsage.begin(key, elsewhere: elsewhere) {
            throw APIError(refusal, retryAfter: generator.retryAfter)
        }
        return { [keyUsage] in keyUsage.end(key) }
    }

    /// Lets only those pass who may change the service; where there are no keys, everybody.
    ///
    /// - Throws: `APIError` 403.
    func requireAdmin(_ context: GatewayContext) throws(APIError) {
        guard let key = context.key, key.scope != .admin else { return }
        throw APIError(
            .forbidden, type: "permission_error", code: "admin_required",
            "The key '\(key.name)' may make pictures only; this needs a key of the scope admin"
                + " ('inkstone keys add NAME --scope admin').")
    }

    /// Whether the holder of a key may see a job.
    func maySee(_ job: Job, _ context: GatewayContext) -> Bool {
        guard let key = context.key, key.scope != .admin else { return true }
        return job.owner == key.name
    }
}

extension APIError {
    /// The holder of a key has to wait.
    init(_ refusal: KeyUsage.Refusal, retryAfter: Int) {
        switch refusal {
        case .concurrency(let limit):
            self.init(
                .tooManyRequests, type: "rate_limit_error", code: "concurrency_limit",
                "This key may have \(limit) requests in progress; wait for one of them.",
                retryAfter: retryAfter)
        case .rate(let limit, let wait):
            self.init(
                .tooManyRequests, type: "rate_limit_error", code: "rate_limit_exceeded",
                "This key may ask \(limit) times a minute; try again in \(wait) seconds.",
                retryAfter: wait)
        }
    }
}
