// Part of Inkstone. Licence: see LICENSE.

import Dispatch
import Foundation
import Synchronization

/// Turns Ctrl-C into a flag, so that work stops between two steps and leaves no half-written file.
enum Interrupt {
    private static let isDrawing = Atomic(false)
    private static let raised = Atomic(false)
    // Unsafe: set up once in `install`, before anything else can see it.
    nonisolated(unsafe) private static let source = DispatchSource.makeSignalSource(
        signal: SIGINT, queue: .global())

    /// Takes over SIGINT: until `waitForSteps` it ends the program at once, and a second one always
    /// does.
    static func install() {
        signal(SIGINT, SIG_IGN)
        source.setEventHandler {
            let isSecond = raised.exchange(true, ordering: .sequentiallyConsistent)
            guard isSecond || !isDrawing.load(ordering: .sequentiallyConsistent) else { return }
            // A progress line may stand where the message goes.
            if isatty(STDERR_FILENO) == 1 { FileHandle.standardError.write(Data("\n".utf8)) }
            finish(CancellationError())
        }
        source.activate()
    }

    /// From now on somebody looks at `isRaised` between steps.
    static func waitForSteps() { isDrawing.store(true, ordering: .sequentiallyConsistent) }

    /// Whether Ctrl-C was pressed.
    static var isRaised: Bool { raised.load(ordering: .sequentiallyConsistent) }
}
