// Part of Inkstone. Licence: see LICENSE.

import Dispatch

/// Runs `body` for 0, 1 … `count` - 1 on several threads, and returns when all are done.
///
/// `body` is called at the same time from several threads: each call must write to a place of its own.
func concurrently(_ count: Int, _ body: (Int) -> Void) {
    withoutActuallyEscaping(body) { body in
        let shared = Shared(body: body)
        DispatchQueue.concurrentPerform(iterations: count) { shared.body($0) }
    }
}

private struct Shared: @unchecked Sendable {
    // Unchecked: the caller promises that calls do not disturb each other.
    let body: (Int) -> Void
}
