// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// Ends a worker when its gateway has ended, in whatever way.
///
/// The gateway holds the other end of the worker's standard input and never writes to it: when the
/// gateway ends, by kill -9 too, the system closes that end. (A signal at the parent's death would
/// come when the thread that started the worker ends, which may be long before the process does.)
package enum ParentWatch {
    /// Begins to watch; removes the socket and its folder when this process ends.
    package static func begin(socket: String) {
        Thread.detachNewThread {
            var byte: UInt8 = 0
            while true {
                let count = read(STDIN_FILENO, &byte, 1)
                if count > 0 || (count < 0 && errno == EINTR) { continue }
                break
            }
            unlink(socket)
            SocketFolder.removeIfAbandoned(URL(filePath: socket).deletingLastPathComponent().path)
            _exit(EXIT_SUCCESS)
        }
    }
}
