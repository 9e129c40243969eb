// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import CNATS
    import Dispatch
    import Synchronization

    /// A key-value bucket.
    ///
    /// Unchecked: the pointer never changes; the C client locks what is behind it.
    package final class Bucket: @unchecked Sendable {
        /// A change of a key.
        package enum Change: Sendable {
            case value(key: String, [UInt8], revision: UInt64)
            case removed(key: String)
            /// All values that existed when the watch began have been reported.
            case caughtUp
        }

        let name: String
        private let connection: NATSConnection
        private let store: OpaquePointer

        /// Opens a bucket, or makes it if it is missing.
        ///
        /// - Parameters:
        ///   - connection: to the server.
        ///   - name: of the bucket.
        ///   - age: Seconds after which a value expires; never if 0.
        ///   - replicas: Replicas of the bucket.
        /// - Throws: `NATSError`.
        package init(
            _ connection: NATSConnection, _ name: String, age: Double, replicas: Int = 1
        ) throws {
            self.connection = connection
            self.name = name
            // Throws a described error where the next call would only fail.
            let isThere = try connection.state(of: "KV_\(name)") != nil
            var made: OpaquePointer?
            var status = isThere ? js_KeyValue(&made, connection.context, name) : NATS_NOT_FOUND
            if status == NATS_NOT_FOUND {
                status = name.withCString { name in
                    var config = kvConfig()
                    kvConfig_Init(&config)
                    config.Bucket = name
                    config.History = 1
                    config.TTL = NATSConnection.nanoseconds(age)
                    config.StorageType = js_FileStorage
                    config.Replicas = Int32(replicas)
                    return js_CreateKeyValue(&made, connection.context, &config)
                }
                // Another program made it meanwhile.
                if status != NATS_OK { status = js_KeyValue(&made, connection.context, name) }
            }
            try check(status, "opening the bucket '\(name)'")
            guard let made else { throw NATSError(.failed, "opening the bucket '\(name)'") }
            store = made
        }

        deinit { kvStore_Destroy(store) }

        private func subject(_ key: String) -> String { "$KV.\(name).\(key)" }

        /// The value of a key, with its revision.
        package func value(of key: String) async throws -> (bytes: [UInt8], revision: UInt64)? {
            do {
                return try await connection.blocking {
                    var entry: OpaquePointer?
                    try check(kvStore_Get(&entry, self.store, key), "reading '\(key)'")
                    guard let entry else { return nil }
                    defer { kvEntry_Destroy(entry) }
                    return (Self.bytes(of: entry), kvEntry_Revision(entry))
                }
            } catch let error as NATSError where error.code == .notFound {
                return nil
            }
        }

        /// Sets a key.
        ///
        /// - Parameters:
        ///   - key: of the bucket.
        ///   - bytes: its value.
        ///   - revision: what the key must have until now, 0 for nothing; not checked if `nil`.
        /// - Returns: the revision that it has now.
        /// - Throws: `NATSError` of code `conflict` when it has another one.
        @discardableResult
        package func set(
            _ key: String, _ bytes: [UInt8], after revision: UInt64? = nil
        ) async throws -> UInt64 {
            try await connection.store(subject(key), bytes, after: revision)
        }

        /// Removes a key.
        package func remove(_ key: String) async throws {
            try await connection.blocking {
                try check(kvStore_Purge(self.store, key, nil), "removing '\(key)'")
            }
        }

        private static func bytes(of entry: OpaquePointer) -> [UInt8] {
            guard let start = kvEntry_Value(entry) else { return [] }
            return Array(
                UnsafeRawBufferPointer(start: start, count: Int(kvEntry_ValueLen(entry))))
        }

        // MARK: - Watching

        /// All values, and then every change, in order; after an interruption all values are repeated.
        package func changes() -> AsyncStream<Change> {
            AsyncStream { continuation in
                let watch = Watch()
                continuation.onTermination = { _ in watch.end() }
                connection.onReconnect { [weak watch] in watch?.renew() }
                // A separate thread, since it blocks most of the time.
                let thread = DispatchQueue(label: "inkstone.nats.\(name)", qos: .userInitiated)
                thread.async { self.follow(watch) { continuation.yield($0) } }
            }
        }

        /// The state of a watch that other threads change.
        private final class Watch: Sendable {
            private let ended = Atomic(false)
            private let renewals = Atomic(0)

            var isEnded: Bool { ended.load(ordering: .relaxed) }
            var renewal: Int { renewals.load(ordering: .relaxed) }
            func end() { ended.store(true, ordering: .relaxed) }
            func renew() { renewals.add(1, ordering: .relaxed) }
        }

        private func follow(_ watch: Watch, _ report: (Change) -> Void) {
            while !watch.isEnded {
                let renewal = watch.renewal
                var watcher: OpaquePointer?
                guard kvStore_WatchAll(&watcher, store, nil) == NATS_OK, let watcher else {
                    nats_Sleep(250)
                    continue
                }
                var silence = 0
                var seen: UInt64 = 0
                var checked: UInt64 = 0
                while !watch.isEnded, watch.renewal == renewal {
                    var entry: OpaquePointer?
                    let status = kvWatcher_Next(&entry, watcher, 250)
                    if status == NATS_TIMEOUT {
                        silence += 1
                        guard silence % 20 == 0 else { continue }
                        // A watch may stand still for long when the server dies that has it.
                        let last = (try? connection.state(of: "KV_\(name)"))?.LastSeq ?? 0
                        let hasMissed = checked > 0 && last > max(checked, seen)
                        checked = last
                        if hasMissed { break }
                        continue
                    }
                    guard status == NATS_OK else { break }
                    silence = 0
                    if let entry { seen = max(seen, kvEntry_Revision(entry)) }
                    report(entry.map(Self.change) ?? .caughtUp)
                    kvEntry_Destroy(entry)
                }
                kvWatcher_Stop(watcher)
                kvWatcher_Destroy(watcher)
            }
        }

        private static func change(_ entry: OpaquePointer) -> Change {
            let key = kvEntry_Key(entry).map { String(cString: $0) } ?? ""
            return kvEntry_Operation(entry) == kvOp_Put
                ? .value(key: key, bytes(of: entry), revision: kvEntry_Revision(entry))
                : .removed(key: key)
        }
    }
#endif
