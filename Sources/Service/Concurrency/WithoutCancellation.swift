// Part of Inkstone. Licence: see LICENSE.

/// Runs something to its end even where the caller's task is cancelled, and waits for it.
///
/// A cancelled task can neither write to the database nor send a message; what it leaves behind is
/// stored by a task that is not.
package func withoutCancellation<Value: Sendable>(
    _ body: @escaping @Sendable () async -> Value
) async -> Value {
    await Task { await body() }.value
}
