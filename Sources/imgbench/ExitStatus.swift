// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser

/// Exit statuses of the program.
enum ExitStatus {
    /// The command could not be performed.
    static let couldNotRun = ExitCode(1)
    /// An objective was missed, or a run is shown to be worse than its base.
    static let objectiveMissed = ExitCode(3)
    /// The audit failed.
    static let auditFailed = ExitCode(4)
    /// Interrupted; the result folder is marked partial.
    static let interrupted = ExitCode(130)
}
