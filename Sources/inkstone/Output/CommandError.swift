// Part of Inkstone. Licence: see LICENSE.

/// An error that the command line finds by itself, before or after the libraries' work.
struct CommandError: Error, CustomStringConvertible {
    /// What the program ends with.
    let status: ExitStatus
    /// What was expected, what was found and what to do.
    let description: String

    init(_ status: ExitStatus, _ description: String) {
        self.status = status
        self.description = description
    }
}
