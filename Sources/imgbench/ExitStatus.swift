// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser

/// How the program ends.
enum ExitStatus {
    /// The run could not be made.
    static let couldNotRun = ExitCode(1)
    /// An objective was missed.
    static let objectiveMissed = ExitCode(3)
    /// The audit failed.
    static let auditFailed = ExitCode(4)
    /// Interrupted; what was measured is there, marked partial.
    static let interrupted = ExitCode(130)
}
