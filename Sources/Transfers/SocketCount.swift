// Part of Inkstone. Licence: see LICENSE.

import CCURL
import Synchronization

/// Counts the established connections of a client.
///
/// Sockets are opened and closed on the loop's thread; the figures are read by others.
final class SocketCount: Sendable {
    private struct State {
        /// Sockets whose connection is not established yet.
        var opening: Set<Int32> = []
        var established: Set<Int32> = []
        var most = 0
    }

    private let state = Mutex(State())

    /// For libcurl; valid while the count exists.
    var pointer: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

    static func at(_ pointer: UnsafeMutableRawPointer?) -> SocketCount? {
        pointer.map { Unmanaged<SocketCount>.fromOpaque($0).takeUnretainedValue() }
    }

    func didOpen(_ socket: Int32) { state.withLock { _ = $0.opening.insert(socket) } }

    /// A request is about to be sent on the connection with this port on our side.
    func didConnect(localPort: Int32) {
        state.withLock { state in
            guard let socket = state.opening.first(where: { ccurl_local_port($0) == localPort })
            else { return }
            state.opening.remove(socket)
            state.established.insert(socket)
            state.most = max(state.most, state.established.count)
        }
    }

    func willClose(_ socket: Int32) {
        state.withLock { state in
            state.opening.remove(socket)
            state.established.remove(socket)
        }
    }

    /// Connections that are established.
    var count: Int { state.withLock { $0.established.count } }

    /// Returns the most at once since the last call.
    func takeMost() -> Int {
        state.withLock { state in
            defer { state.most = state.established.count }
            return state.most
        }
    }
}
