// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import CNATS

    /// A message of a work queue, which its receiver must answer for.
    ///
    /// Unchecked: the pointer never changes, and the client's calls on a message lock it.
    package final class NATSMessage: @unchecked Sendable {
        private let message: OpaquePointer

        /// Takes the message over.
        init(_ message: OpaquePointer) {
            self.message = message
        }

        deinit { natsMsg_Destroy(message) }

        /// What it says.
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

        /// Done: it never comes again.
        package func acknowledge() { _ = natsMsg_Ack(message, nil) }

        /// Still at it: the time to answer begins anew.
        package func keepAlive() { _ = natsMsg_InProgress(message, nil) }

        /// Given back: another receiver gets it, after some milliseconds.
        package func giveBack(after milliseconds: Int64 = 0) {
            _ =
                milliseconds > 0
                ? natsMsg_NakWithDelay(message, milliseconds, nil) : natsMsg_Nak(message, nil)
        }
    }
#endif
