// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import Service
    import Synchronization

    import Foundation

    /// The values of a bucket, which NATS keeps up to date.
    final class BucketCopy<Value: Decodable & Sendable>: Sendable {
        /// A value, and when it arrived.
        typealias Entry = (value: Value, seen: ContinuousClock.Instant)

        private let entries = Mutex<[String: Entry]>([:])
        private let tasks = OwnedTasks()

        /// Follows the bucket for as long as this object exists.
        init(_ bucket: Bucket) {
            tasks.start { [weak self] in
                for await change in bucket.changes() { self?.apply(change) }
            }
        }

        /// All values.
        var all: [Entry] { entries.withLock { Array($0.values) } }

        /// Removes all values that satisfy the predicate.
        func removeAll(where isRemoved: (Entry) -> Bool) {
            entries.withLock { entries in entries = entries.filter { !isRemoved($0.value) } }
        }

        private func apply(_ change: Bucket.Change) {
            entries.withLock { entries in
                switch change {
                case .value(let key, let bytes, _):
                    // A value of another version that cannot be read is left out.
                    guard let value = try? JSONDecoder().decode(Value.self, from: Data(bytes))
                    else {
                        return
                    }
                    entries[key] = (value, .now)
                case .removed(let key): entries[key] = nil
                case .caughtUp: break
                }
            }
        }
    }
#endif
