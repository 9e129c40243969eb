// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import CNATS

    /// A message of a work queue, which its receiver must answer.
    ///
    /// Unchecked: the pointer never changes, and the client's calls on a message lock it.
    package final class NATSMessage: @unchecked Sendable {
        private let message: OpaquePointer

        /// Owns the message from now on.
        init(_ message: OpaquePointer) {
            self.message = message
        }

        deinit { natsMsg_Destroy(message) }

        /// Its content.
        package var bytes: [UInt8] { Self.bytes(of: message) }

        static func bytes(of message: OpaquePointer) -> [UInt8] {
            guard let start = natsMsg_GetData(message) else { return [] }
            return Array(
                UnsafeRawBufferPointer(start: start, count: Int(natsMsg_GetDataLength(message))))
        }

        /// How often it was delivered, this time included.
        package var deliveries: Int {
            var facts: UnsafeMutablePointer<jsMsgMetaData>?
            guard natsMsg_GetMetaData(&facts, message) == NATS_OK, let facts else { return 1 }
            defer { jsMsgMetaData_Destroy(facts) }
            return Int(facts.pointee.NumDelivered)
        }

        // Answers may be lost with the connection: the message then comes again, and its receiver finds
        // that its work is done.

        /// Removes the message from the queue: its work is done.
        package func acknowledge() { _ = natsMsg_Ack(message, nil) }

        /// Extends the time to answer: work goes on.
        package func extendDeadline() { _ = natsMsg_InProgress(message, nil) }

        /// Returns the message to the queue: another receiver gets it, after some milliseconds.
        package func returnToQueue(after milliseconds: Int64 = 0) {
            _ =
                milliseconds > 0
                ? natsMsg_NakWithDelay(message, milliseconds, nil) : natsMsg_Nak(message, nil)
        }
    }
#endif
