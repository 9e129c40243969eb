// Part of Inkstone. Licence: see LICENSE.

import Engine
import HTTPTypes
import Service

extension RequestService {
    /// Counts a request for images against the limits of its key.
    ///
    /// - Returns: a function to call when the request has ended.
    /// - Throws: `APIError` 429 when a limit of the key is reached, 403 for a priority above the key's.
    func count(
        _ request: ImageRequest, _ context: GatewayContext
    ) async throws(APIError) -> @Sendable () -> Void {
        guard let key = context.key else { return {} }
        let highest = key.priority ?? .normal
        guard request.priority <= highest else {
            throw APIError(
                .forbidden, type: "permission_error", code: "priority_not_allowed",
                parameter: "priority",
                "The key '\(key.name)' may ask for the priority \(highest.rawValue) at most; ask for that, leave"
                    + " priority out, or use a key that the operator makes with 'inkstone keys add NAME"
                    + " --priority high'.")
        }
        var elsewhere = KeyUsage.Elsewhere()
        if key.concurrency != nil || key.perMinute != nil {
            elsewhere = await jobs.elsewhere(key.id)
        }
        if let refusal = keyUsage.begin(key, elsewhere: elsewhere) {
            throw APIError(refusal, retryAfter: meter.retryAfter)
        }
        return { [keyUsage] in keyUsage.end(key) }
    }
}

extension APIError {
    /// A limit of a key is reached.
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
