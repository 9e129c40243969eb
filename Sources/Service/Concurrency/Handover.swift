// Part of Inkstone. Licence: see LICENSE.

import Synchronization

/// A value that is passed on once.
///
/// A closure retains what it captures until it ends; large values are handed over, so that only their
/// receiver has them.
package final class Handover<Value: Sendable>: Sendable {
    private let value: Mutex<Value?>

    /// Holds a value.
    package init(_ value: Value) {
        self.value = Mutex(value)
    }

    /// The value; `nil` for all but the first call.
    package func take() -> Value? {
        value.withLock { value in
            defer { value = nil }
            return value
        }
    }
}
