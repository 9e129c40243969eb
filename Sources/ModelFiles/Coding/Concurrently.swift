// Part of Inkstone. Licence: see LICENSE.

import Dispatch

/// Runs `body` for 0, 1 … `count` - 1 on several threads, and returns when all calls have.
///
/// `body` is called at the same time from several threads: calls must write to disjoint memory.
func concurrently(_ count: Int, _ body: (Int) -> Void) {
    withoutActuallyEscaping(body) { body in
        let shared = Shared(body: body)
        DispatchQueue.concurrentPerform(iterations: count) { shared.body($0) }
    }
}

private struct Shared: @unchecked Sendable {
    // Unchecked: the caller guarantees that calls access disjoint memory.
    let body: (Int) -> Void
}
