// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import Synchronization

    import Foundation

    /// The values of a bucket, which NATS keeps up to date.
    final class BucketCopy<Value: Decodable & Sendable>: Sendable {
        /// A value, and when it was told.
        typealias Entry = (value: Value, seen: ContinuousClock.Instant)

        private let entries = Mutex<[String: Entry]>([:])

        /// Follows the bucket for as long as this object lives.
        init(_ bucket: Bucket) {
            Task { [weak self] in
                for await change in bucket.changes() {
                    guard let self else { break }
                    note(change)
                }
            }
        }

        /// All values that are known now.
        var all: [Entry] { entries.withLock { Array($0.values) } }

        /// Forgets what is not wanted any longer.
        func keep(where isWanted: (Entry) -> Bool) {
            entries.withLock { entries in entries = entries.filter { isWanted($0.value) } }
        }

        private func note(_ change: Bucket.Change) {
            entries.withLock { entries in
                switch change {
                case .value(let key, let bytes, _):
                    // Of another version: what cannot be read is left out.
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
