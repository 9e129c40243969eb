// Part of Inkstone. Licence: see LICENSE.

/// An error of the command line itself, not of a library.
struct CommandError: Error, CustomStringConvertible {
    /// The exit status of the program.
    let status: ExitStatus
    /// What was expected, what was found and what to do.
    let description: String

    init(_ status: ExitStatus, _ description: String) {
        self.status = status
        self.description = description
    }
}
