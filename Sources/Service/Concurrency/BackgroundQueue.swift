// Part of Inkstone. Licence: see LICENSE.

import Dispatch

/// A thread for work that computes or waits for the disk, one piece after the other.
///
/// Tasks share as many threads as there are processors: one that encodes a large image would delay the
/// answers of all others.
package struct BackgroundQueue: Sendable {
    private let queue: DispatchQueue

    /// A queue with a label for debuggers.
    package init(_ label: String) {
        queue = DispatchQueue(label: label, qos: .utility)
    }

    /// Runs `body` after everything that was added before, and waits for it.
    package func run<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Result(catching: body)) }
        }
    }
}
