// Part of Inkstone. Licence: see LICENSE.

import Dispatch
import Foundation
import Synchronization

/// Whether the run is to end early: SIGINT and SIGTERM, or a caller's wish.
package final class Interrupt: Sendable {
    private let flag = Mutex(false)
    // Unsafe: set once in `watchSignals`, before the run begins.
    nonisolated(unsafe) private var sources: [any DispatchSourceSignal] = []

    package init() {}

    package var isSet: Bool { flag.withLock { $0 } }

    package func set() { flag.withLock { $0 = true } }

    /// Makes the signals set it; a second one ends the program at once.
    package func watchSignals() {
        sources = [SIGINT, SIGTERM].map { number -> any DispatchSourceSignal in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { [self] in
                if isSet { exit(130) }
                set()
            }
            source.resume()
            return source
        }
    }
}
