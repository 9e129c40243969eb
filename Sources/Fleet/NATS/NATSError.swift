// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import CNATS

    /// What the NATS client or server answered instead of what was asked for.
    package struct NATSError: Error, Sendable, Equatable, CustomStringConvertible {
        /// Coarse reason; switch on this.
        package enum Code: Sendable, Equatable {
            /// The server cannot be reached now, or did not answer in time.
            case unreachable
            /// There is no such message, key, stream or bucket.
            case notFound
            /// Another client wrote first.
            case conflict
            /// The server has no space for a message; it may pass.
            case full
            /// User, password, token or credentials are wrong, or may not do this.
            case denied
            /// An option, a file or a certificate makes no sense.
            case usage
            /// Anything else.
            case failed
        }

        /// Coarse reason.
        package let code: Code
        /// One sentence: the operation and the response.
        package let description: String

        package init(_ code: Code, _ description: String) {
            self.code = code
            self.description = description
        }

        init(_ status: natsStatus, _ jetStream: jsErrCode = jsErrCode(0), while action: String) {
            code = Self.code(status, jetStream)
            // In front of the client's own words stands its file and line.
            let words = nats_GetLastError(nil).map { String(cString: $0) } ?? ""
            let place = words.firstRange(of: "): ").map(\.upperBound)
            let detail = place.map { String(words[$0...]) } ?? words
            let text = String(cString: natsStatus_GetText(status))
            description = "\(action): \(detail.isEmpty ? text : detail)"
        }

        private static func code(_ status: natsStatus, _ jetStream: jsErrCode) -> Code {
            switch jetStream {
            case JSStreamWrongLastSequenceErr: return .conflict
            case JSInsufficientResourcesErr, JSStorageResourcesExceededErr,
                JSMemoryResourcesExceededErr, JSStreamStoreFailedErr:
                return .full
            case JSStreamNotFoundErr, JSNoMessageFoundErr, JSConsumerNotFoundErr: return .notFound
            default: break
            }
            let isLeaderless =
                jetStream == JSClusterNotAvailErr || jetStream == JSClusterNoPeersErr
            return switch status {
            case NATS_NOT_FOUND: .notFound
            case NATS_CONNECTION_AUTH_FAILED, NATS_NOT_PERMITTED: .denied
            case NATS_SSL_ERROR, NATS_INVALID_ARG, NATS_ADDRESS_MISSING,
                NATS_SECURE_CONNECTION_WANTED, NATS_SECURE_CONNECTION_REQUIRED:
                .usage
            case NATS_TIMEOUT, NATS_NO_RESPONDERS, NATS_NO_SERVER, NATS_IO_ERROR,
                NATS_CONNECTION_DISCONNECTED, NATS_CONNECTION_CLOSED, NATS_STALE_CONNECTION,
                NATS_INSUFFICIENT_BUFFER, NATS_NOT_YET_CONNECTED, NATS_MISSED_HEARTBEAT:
                .unreachable
            // The server's own trouble, such as a stream whose leader is being chosen.
            default: isLeaderless ? .unreachable : .failed
            }
        }
    }

    /// - Throws: `NATSError` for everything but success.
    func check(_ status: natsStatus, _ action: @autoclosure () -> String) throws(NATSError) {
        if status != NATS_OK { throw NATSError(status, while: action()) }
    }

    /// The same with what JetStream said.
    func check(
        _ status: natsStatus, _ jetStream: jsErrCode, _ action: @autoclosure () -> String
    ) throws(NATSError) {
        if status != NATS_OK { throw NATSError(status, jetStream, while: action()) }
    }
#endif
