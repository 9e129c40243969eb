// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import CNATS

    /// A consumer of a work queue: each message is delivered to one of all consumers.
    ///
    /// Unchecked: the pointer never changes, and one task at a time fetches.
    package final class PullConsumer: @unchecked Sendable {
        private let connection: NATSConnection
        private let subscription: OpaquePointer
        /// Seconds after which an unanswered message is delivered again.
        package let window: Double
        private static let name = "workers"

        /// Joins the consumers of a queue.
        ///
        /// - Parameters:
        ///   - connection: to the server.
        ///   - stream: the queue.
        ///   - subject: of its messages.
        ///   - window: Seconds to answer a message; the value of the first consumer holds for all.
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

        // With a window the consumer is made, without one it must exist.
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
                    // Workers count attempts: a message that was returned is not one.
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

        /// Fetches the next message.
        ///
        /// - Parameter seconds: Time to wait; well above 0.01, as the server ends the wait a little earlier and
        ///   a later answer is taken for that of the next fetch.
        /// - Returns: The message, or `nil` if none arrived in time.
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
            // No message: the usual end of a wait.
            if status == NATS_TIMEOUT, connection.isUp { return nil }
            try check(status, "taking a message")
            defer { natsMsgList_Destroy(&list) }
            guard list.Count > 0, let message = list.Msgs[0] else { return nil }
            list.Msgs[0] = nil
            return NATSMessage(message)
        }
    }
#endif
