// Part of Inkstone. Licence: see LICENSE.

import Dispatch
import Foundation
import Synchronization

/// Converts SIGINT to a flag, so that sampling stops between two steps and leaves no partial file.
enum Interrupt {
    private static let isSampling = Atomic(false)
    private static let raised = Atomic(false)
    // Unsafe: initialized once in `install`, before any other access.
    nonisolated(unsafe) private static let source = DispatchSource.makeSignalSource(
        signal: SIGINT, queue: .global())

    /// Handles SIGINT: before `waitForSteps`, and on a second one, the program exits at once.
    static func install() {
        signal(SIGINT, SIG_IGN)
        source.setEventHandler {
            let isSecond = raised.exchange(true, ordering: .sequentiallyConsistent)
            guard isSecond || !isSampling.load(ordering: .sequentiallyConsistent) else { return }
            // The cursor may be on a progress line.
            if isatty(STDERR_FILENO) == 1 { FileHandle.standardError.write(Data("\n".utf8)) }
            finishInterrupted()
        }
        source.activate()
    }

    /// Declares that `isRaised` is polled between steps from now on.
    static func waitForSteps() { isSampling.store(true, ordering: .sequentiallyConsistent) }

    /// Whether SIGINT was received.
    static var isRaised: Bool { raised.load(ordering: .sequentiallyConsistent) }
}
