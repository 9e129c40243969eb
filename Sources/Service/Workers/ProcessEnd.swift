// Part of Inkstone. Licence: see LICENSE.

/// How a process ended.
package enum ProcessEnd: Sendable, Equatable, CustomStringConvertible {
    /// By exiting, with a status.
    case status(Int32)
    /// By a signal.
    case signal(Int32)

    /// Decodes the status of `waitpid`.
    init(waitStatus: Int32) {
        let signal = waitStatus & 0x7f
        self = signal == 0 ? .status((waitStatus >> 8) & 0xff) : .signal(signal)
    }

    /// `signal 9` or `exit status 65`.
    package var description: String {
        switch self {
        case .status(let status): "exit status \(status)"
        case .signal(let signal): "signal \(signal)"
        }
    }
}
