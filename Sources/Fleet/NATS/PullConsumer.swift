// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import CNATS

    /// One of those who share a work queue: each message goes to one of them.
    ///
    /// Unchecked: the pointer never changes, and one task at a time fetches.
    package final class PullConsumer: @unchecked Sendable {
        private let connection: NATSConnection
        private let subscription: OpaquePointer

        /// Joins those who share a queue.
        ///
        /// - Parameters:
        ///   - connection: to the server.
        ///   - stream: the queue.
        ///   - subject: of its messages.
        ///   - window: seconds after which a message goes to another one if its receiver says nothing;
        ///     what the first one of all says holds for all.
        /// - Throws: `NATSError`.
        package init(
            _ connection: NATSConnection, stream: String, subject: String, window: Double
        ) throws {
            self.connection = connection
            var made: OpaquePointer?
            var code = jsErrCode(0)
            let status = stream.withCString { stream in
                var options = jsSubOptions()
                jsSubOptions_Init(&options)
                options.Stream = stream
                options.ManualAck = true
                options.Config.AckPolicy = js_AckExplicit
                options.Config.AckWait = NATSConnection.nanoseconds(window)
                // Attempts are counted by those who work: a message that is given back is no attempt.
                options.Config.MaxDeliver = -1
                options.Config.MaxAckPending = 100_000
                options.Config.MaxWaiting = 10_000
                return js_PullSubscribe(
                    &made, connection.context, subject, "workers", nil, &options, &code)
            }
            try check(status, code, "joining the queue '\(stream)'")
            guard let made else { throw NATSError(.failed, "joining the queue '\(stream)'") }
            subscription = made
        }

        deinit { natsSubscription_Destroy(subscription) }

        /// Takes the next message.
        ///
        /// - Parameter seconds: how long to wait; with 0 only a message that is there now is taken.
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
            request.NoWait = seconds <= 0
            request.Expires = NATSConnection.nanoseconds(max(seconds, 1))
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
