// Part of Inkstone. Licence: see LICENSE.

import Service

/// What the key of a request permits; without keys everything is permitted.
extension GatewayContext {
    /// How a request was admitted to its route.
    enum Admission: Sendable {
        /// Without a look at its key: the route is for all clients.
        case unchecked
        /// The service requires no keys.
        case open
        /// With this key.
        case key(APIKey)
    }

    /// The key of the request, if the service has keys.
    var key: APIKey? {
        if case .key(let key) = admission { key } else { nil }
    }

    /// Owner of the jobs that the request submits.
    var owner: String? { key?.id }

    /// Jobs that the request may find: all without keys and for the scope admin, else those of its key.
    var access: JobAccess {
        switch admission {
        case .unchecked: .none
        case .open: .all
        case .key(let key): key.scope == .admin ? .all : .owner(key.id)
        }
    }
}
