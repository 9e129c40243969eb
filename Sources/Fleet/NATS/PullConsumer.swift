// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import CNATS

    /// One of those who share a work queue: each message goes to one of them.
    ///
    /// Unchecked: the pointer never changes, and one task at a time fetches.
    package final class PullConsumer: @unchecked Sendable {
        private let connection: NATSConnection
        private let subscription: OpaquePointer
        /// Seconds after which a message goes to another one if its receiver says nothing.
        package let window: Double
        private static let name = "workers"

        /// Joins those who share a queue.
        ///
        /// - Parameters:
        ///   - connection: to the server.
        ///   - stream: the queue.
        ///   - subject: of its messages.
        ///   - window: what the first one of all asks for holds for all.
        /// - Throws: `NATSError`.
        package init(
            _ connection: NATSConnection, stream: String, subject: String, window: Double
        ) throws {
            self.connection = connection
            do {
                subscription = try Self.join(connection, stream, subject, nil)
            } catch let error as NATSError where error.code == .notFound {
                subscription = try Self.join(connection, stream, subject, window)
            }
            var info: UnsafeMutablePointer<jsConsumerInfo>?
            var code = jsErrCode(0)
            try check(
                js_GetConsumerInfo(&info, connection.context, stream, Self.name, nil, &code), code,
                "asking who shares the queue '\(stream)'")
            defer { jsConsumerInfo_Destroy(info) }
            let known = info?.pointee.Config?.pointee.AckWait ?? 0
            self.window = known > 0 ? Double(known) / 1e9 : window
        }

        // With a window a list of those who share is made, without one there must be one.
        private static func join(
            _ connection: NATSConnection, _ stream: String, _ subject: String, _ window: Double?
        ) throws -> OpaquePointer {
            var made: OpaquePointer?
            var code = jsErrCode(0)
            let status = stream.withCString { stream in
                name.withCString { name in
                    var options = jsSubOptions()
                    jsSubOptions_Init(&options)
                    options.Stream = stream
                    options.ManualAck = true
                    guard let window else {
                        options.Consumer = name
                        return js_PullSubscribe(
                            &made, connection.context, subject, name, nil, &options, &code)
                    }
                    options.Config.AckPolicy = js_AckExplicit
                    options.Config.AckWait = NATSConnection.nanoseconds(window)
                    // Attempts are counted by those who work: a message given back is no attempt.
                    options.Config.MaxDeliver = -1
                    options.Config.MaxAckPending = 100_000
                    options.Config.MaxWaiting = 10_000
                    return js_PullSubscribe(
                        &made, connection.context, subject, name, nil, &options, &code)
                }
            }
            try check(status, code, "joining the queue '\(stream)'")
            guard let made else { throw NATSError(.failed, "joining the queue '\(stream)'") }
            return made
        }

        deinit { natsSubscription_Destroy(subscription) }

        /// Takes the next message.
        ///
        /// - Parameter seconds: how long to wait; above 0.
        /// - Returns: the message, or `nil` if none came in time.
        /// - Throws: `NATSError`.
        package func next(within seconds: Double) async throws -> NATSMessage? {
            do {
                return try await connection.blocking { try self.fetch(seconds) }
            } catch let error as NATSError where error.code == .notFound {
                return nil
            }
        }

        private func fetch(_ seconds: Double) throws -> NATSMessage? {
            var request = jsFetchRequest()
            jsFetchRequest_Init(&request)
            request.Batch = 1
            request.Expires = NATSConnection.nanoseconds(seconds)
            var list = natsMsgList()
            let status = natsSubscription_FetchRequest(&list, subscription, &request)
            // Nothing came: the usual end of a wait.
            if status == NATS_TIMEOUT, connection.isUp { return nil }
            try check(status, "taking a message")
            defer { natsMsgList_Destroy(&list) }
            guard list.Count > 0, let message = list.Msgs[0] else { return nil }
            list.Msgs[0] = nil
            return NATSMessage(message)
        }
    }
#endif
