// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Synchronization

/// A folder for the workers' sockets that no other user may read.
final class SocketFolder: Sendable {
    let path: String
    private let count = Atomic(0)

    /// Makes a folder of mode 0700 with a unique name.
    ///
    /// - Throws: `LaunchError`.
    init(in parent: URL) throws(LaunchError) {
        var parent = parent.path
        // The system takes paths of sockets up to about 100 bytes.
        if parent.utf8.count > 60 { parent = "/tmp" }
        var template = Array("\(parent)/inkstone-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else {
            throw LaunchError(
                .failed,
                "cannot make a folder for the workers' sockets in \(parent):"
                    + " \(String(cString: strerror(errno))); set TMPDIR to a folder that can be"
                    + " written to.")
        }
        path = String(cString: made)
    }

    /// A path that no worker had before, so that a successor is not mistaken for a worker that has ended.
    func next() -> String {
        "\(path)/worker-\(count.wrappingAdd(1, ordering: .relaxed).newValue)"
    }

    /// Removes the socket of a worker that has ended.
    func remove(_ socket: String) { unlink(socket) }

    /// Removes the folder with the sockets of workers that were killed.
    func remove() { try? FileManager.default.removeItem(atPath: path) }
}
