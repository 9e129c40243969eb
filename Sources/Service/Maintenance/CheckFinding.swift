// Part of Inkstone. Licence: see LICENSE.

/// The result of one check of a machine or a data folder.
public struct CheckFinding: Sendable, Equatable {
    /// What has to be done.
    public enum Severity: Sendable, Equatable {
        /// Nothing.
        case good
        /// Nothing, but it explains what may be noticed; the server mends it, or it can stay.
        case note
        /// An action of the operator.
        case problem
    }

    /// What has to be done.
    public let severity: Severity
    /// What was found and, unless it is good, what to do.
    public let text: String

    /// A finding.
    public init(_ severity: Severity, _ text: String) {
        self.severity = severity
        self.text = text
    }
}
