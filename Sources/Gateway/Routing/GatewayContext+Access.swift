// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes
import Service

/// What the key of a request permits; without keys everything is permitted.
extension GatewayContext {
    /// Checks that the request may change the service.
    ///
    /// - Throws: `APIError` 403.
    func requireAdmin() throws(APIError) {
        guard let key, key.scope != .admin else { return }
        throw APIError(
            .forbidden, type: "permission_error", code: "admin_required",
            "The key '\(key.name)' may generate images only; this needs a key of the scope admin"
                + " ('inkstone keys add NAME --scope admin').")
    }

    /// Whether the request may see a job.
    func maySee(_ job: Job) -> Bool {
        guard let key, key.scope != .admin else { return true }
        return job.owner == key.name
    }
}
