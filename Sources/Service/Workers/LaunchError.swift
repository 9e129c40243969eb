// Part of Inkstone. Licence: see LICENSE.

/// Why a model was not launched.
package struct LaunchError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Coarse reason; switch on this.
    package enum Code: Sendable, Equatable {
        /// An option is invalid.
        case usage
        /// A file is damaged or of another kind.
        case badFile
        /// A file is not there.
        case notFound
        /// It would not fit in the memory budget.
        case overBudget
        /// The machine has too little memory now.
        case noMemory
        /// A model of this name is launched already.
        case alreadyLaunched
        /// No model of this name is launched.
        case notLaunched
        /// It was terminated while it loaded.
        case cancelled
        /// Anything else.
        case failed
    }

    /// Coarse reason.
    package let code: Code
    /// One sentence: what was expected, what was found and what to do.
    package let message: String
    /// Whether the worker was ended by a signal: the next one may live.
    let wasKilled: Bool

    /// An error of the given code.
    package init(_ code: Code, _ message: String) {
        self.init(code, message, wasKilled: false)
    }

    private init(_ code: Code, _ message: String, wasKilled: Bool) {
        self.code = code
        self.message = message
        self.wasKilled = wasKilled
    }

    /// The error of a worker that ended before it was ready.
    ///
    /// - Parameters:
    ///   - end: how it ended; a worker's exit statuses are those of the command line.
    ///   - words: Its last line.
    init(_ end: ProcessEnd, saying words: String?) {
        let prefix = "inkstone: "
        let words = words.map { $0.hasPrefix(prefix) ? String($0.dropFirst(prefix.count)) : $0 }
        let message = words ?? "the worker ended with \(end) before it was ready."
        switch end {
        case .status(64): self.init(.usage, message)
        case .status(65): self.init(.badFile, message)
        case .status(66): self.init(.notFound, message)
        case .status(75): self.init(.noMemory, message)
        case .status: self.init(.failed, message)
        // Its last line does not explain the signal.
        case .signal:
            self.init(
                .failed, "the worker ended with \(end) before it was ready.", wasKilled: true)
        }
    }

    /// Whether another try would end the same way.
    var isFinal: Bool {
        switch code {
        case .usage, .badFile, .notFound, .overBudget, .alreadyLaunched, .notLaunched, .cancelled:
            true
        case .noMemory, .failed: false
        }
    }

    /// The message.
    package var description: String { message }
}
