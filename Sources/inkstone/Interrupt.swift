// Part of Inkstone. Licence: see LICENSE.

import Dispatch
import Foundation
import Synchronization

/// Turns Ctrl-C into a flag, so that work stops between two steps and leaves no half-written file.
enum Interrupt {
    private static let raised = Atomic(false)
    // Unsafe: set up once in `install`, before anything else can see it.
    nonisolated(unsafe) private static let source = DispatchSource.makeSignalSource(
        signal: SIGINT, queue: .global())

    /// Takes over SIGINT; a second Ctrl-C ends the program at once.
    static func install() {
        signal(SIGINT, SIG_IGN)
        source.setEventHandler {
            if raised.exchange(true, ordering: .relaxed) {
                Foundation.exit(ExitStatus.interrupted.rawValue)
            }
        }
        source.activate()
    }

    /// Whether Ctrl-C was pressed.
    static var isRaised: Bool { raised.load(ordering: .relaxed) }
}
