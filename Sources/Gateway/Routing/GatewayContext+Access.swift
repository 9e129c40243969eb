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

    /// Owner of the jobs that the request submits.
    var owner: String? { key?.id }

    /// Jobs that the request may find: all without keys and for the scope admin, else those of its key.
    var access: JobAccess {
        guard let key, key.scope != .admin else { return .all }
        return .owner(key.id)
    }
}
