// Part of Inkstone. Licence: see LICENSE.

import Dispatch
import Foundation
import Synchronization

/// A request to end a run early, from the caller or from SIGINT and SIGTERM.
public final class Interrupt: Sendable {
    private let flag = Mutex(false)
    // Unsafe: set once in `watchSignals`, before the run begins.
    nonisolated(unsafe) private var sources: [any DispatchSourceSignal] = []

    /// Creates an interrupt that is not set.
    public init() {}

    /// Whether the run is to end.
    public var isSet: Bool { flag.withLock { $0 } }

    /// Requests the end of the run.
    public func set() { flag.withLock { $0 = true } }

    /// Sets the interrupt on SIGINT and SIGTERM; a second signal exits with status 130.
    public func watchSignals() {
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
