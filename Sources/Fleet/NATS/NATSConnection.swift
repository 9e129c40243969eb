// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import CNATS
    import Dispatch
    import Service
    import Synchronization

    #if canImport(Glibc)
        import Glibc
    #elseif canImport(Musl)
        import Musl
    #else
        import Darwin
    #endif

    /// A connection to NATS that reconnects automatically.
    ///
    /// Unchecked: the pointers never change and live as long as this object; the C client locks what is
    /// behind them.
    package final class NATSConnection: @unchecked Sendable {
        /// Bytes of the largest message that is sent; below the server's usual limit of 1 MiB.
        package static let messageLimit = 512 << 10
        /// Milliseconds that a call waits for the server's answer.
        static let timeout: Int64 = 2000

        let connection: OpaquePointer
        let context: OpaquePointer
        /// Whether the server had no space for the last message that was to be stored.
        let isFull = Atomic(false)
        /// Notifies when the server has no space, and when it has some again.
        let spaceChanges = ChangeSignal()
        private let watchers: Watchers
        /// Threads for blocking calls of the client.
        private let queue = DispatchQueue(
            label: "inkstone.nats", qos: .userInitiated, attributes: .concurrent)

        /// Functions that are called when the connection is restored.
        private final class Watchers: Sendable {
            let all = Mutex<[@Sendable () -> Void]>([])
        }

        /// Connects, or throws after the client's own time limit.
        package init(_ address: NATSAddress, name: String) throws(NATSError) {
            var made: OpaquePointer?
            try check(natsOptions_Create(&made), "making options")
            guard let options = made else { throw NATSError(NATS_NO_MEMORY, while: "connecting") }
            defer { natsOptions_Destroy(options) }
            let watchers = Watchers()
            self.watchers = watchers
            try Self.set(options, address, name)
            let closure = Unmanaged.passRetained(watchers).toOpaque()
            natsOptions_SetReconnectedCB(
                options,
                { _, closure in
                    guard let closure else { return }
                    let watchers = Unmanaged<Watchers>.fromOpaque(closure).takeUnretainedValue()
                    for report in watchers.all.withLock({ $0 }) { report() }
                }, closure)
            var opened: OpaquePointer?
            let status = natsConnection_Connect(&opened, options)
            if status == NATS_ERR, let file = address.credentials {
                // The client has no other word for a file that it cannot use.
                let error = NATSError(status, while: "reading the credentials '\(file)'")
                throw NATSError(.usage, error.description)
            }
            try check(status, "connecting to \(address.shown)")
            guard let opened else { throw NATSError(NATS_NO_SERVER, while: "connecting") }
            connection = opened
            var stream: OpaquePointer?
            var choices = jsOptions()
            jsOptions_Init(&choices)
            choices.Wait = Self.timeout
            try check(natsConnection_JetStream(&stream, opened, &choices), "asking for JetStream")
            guard let stream else { throw NATSError(NATS_NO_MEMORY, while: "connecting") }
            context = stream
        }

        private static func set(
            _ options: OpaquePointer, _ address: NATSAddress, _ name: String
        ) throws(NATSError) {
            var servers = address.servers.map { strdup($0).map { UnsafePointer($0) } }
            defer { for server in servers { free(UnsafeMutablePointer(mutating: server)) } }
            try check(
                natsOptions_SetServers(options, &servers, Int32(servers.count)),
                "reading \(address.shown)")
            natsOptions_SetName(options, name)
            natsOptions_SetTimeout(options, timeout)
            if address.isEncrypted {
                try check(natsOptions_SetSecure(options, true), "asking for TLS")
            }
            if let file = address.authorities {
                try check(
                    natsOptions_LoadCATrustedCertificates(options, file),
                    "reading the authorities '\(file)'")
            }
            if let certificate = address.certificate, let key = address.key {
                try check(
                    natsOptions_LoadCertificatesChain(options, certificate, key),
                    "reading the certificate '\(certificate)' and its key '\(key)'")
            }
            if let file = address.credentials {
                try check(
                    natsOptions_SetUserCredentialsFromFiles(options, file, nil),
                    "reading the credentials '\(file)'")
            }
            natsOptions_SetMaxReconnect(options, -1)
            natsOptions_SetCustomReconnectDelay(
                options,
                { _, attempts, _ in
                    // Doubles up to 4 s; the random part spreads the reconnects of a fleet.
                    let pause = Int64(50) << Int64(min(max(attempts, 1), 6))
                    return pause + Int64.random(in: 0...pause / 4)
                }, nil)
            // Little is buffered: a message that cannot be sent is refused, and its sender learns of it.
            natsOptions_SetReconnectBufSize(options, 64 << 10)
            natsOptions_SetFailRequestsOnDisconnect(options, true)
            // A peer that vanishes is noticed after 10 s.
            natsOptions_SetPingInterval(options, 5000)
            natsOptions_SetMaxPingsOut(options, 2)
            natsOptions_UseGlobalMessageDelivery(options, true)
            natsOptions_SetSendAsap(options, true)
        }

        deinit {
            jsCtx_Destroy(context)
            natsConnection_Destroy(connection)
        }

        /// Whether the server is there, as far as the client knows.
        package var isUp: Bool { natsConnection_Status(connection) == NATS_CONN_STATUS_CONNECTED }

        /// Calls a function whenever the connection is restored.
        package func onReconnect(_ report: @escaping @Sendable () -> Void) {
            watchers.all.withLock { $0.append(report) }
        }

        /// Runs a blocking call on a thread that may block.
        func blocking<Value: Sendable>(
            _ body: @escaping @Sendable () throws -> Value
        ) async throws -> Value {
            try await withCheckedThrowingContinuation { continuation in
                queue.async { continuation.resume(with: Result { try body() }) }
            }
        }

        /// Sends what was published and closes.
        package func close() {
            natsConnection_FlushTimeout(connection, Self.timeout)
            natsConnection_Close(connection)
        }

        // MARK: - Messages that are not stored

        /// Sends a message to the current subscribers.
        package func publish(_ subject: String, _ bytes: [UInt8] = []) throws(NATSError) {
            let status = bytes.withUnsafeBytes {
                natsConnection_Publish(connection, subject, $0.baseAddress, Int32($0.count))
            }
            try check(status, "sending to \(subject)")
        }

        /// Subscribes until the subscription is released.
        package func subscribe(
            _ subject: String,
            _ receive: @escaping @Sendable (_ subject: String, _ bytes: [UInt8]) -> Void
        ) throws(NATSError) -> NATSSubscription {
            let box = Unmanaged.passRetained(Receiver(receive)).toOpaque()
            var made: OpaquePointer?
            let status = natsConnection_Subscribe(
                &made, connection, subject,
                { _, _, message, closure in
                    guard let message, let closure else { return }
                    defer { natsMsg_Destroy(message) }
                    let receiver = Unmanaged<Receiver>.fromOpaque(closure).takeUnretainedValue()
                    receiver.receive(
                        String(cString: natsMsg_GetSubject(message)),
                        NATSMessage.bytes(of: message))
                }, box)
            guard status == NATS_OK, let made else {
                Unmanaged<Receiver>.fromOpaque(box).release()
                throw NATSError(status, while: "listening to \(subject)")
            }
            // After the last message that is on its way.
            natsSubscription_SetOnCompleteCB(
                made,
                { closure in
                    if let closure { Unmanaged<Receiver>.fromOpaque(closure).release() }
                }, box)
            return NATSSubscription(made)
        }

        private final class Receiver: Sendable {
            let receive: @Sendable (String, [UInt8]) -> Void

            init(_ receive: @escaping @Sendable (String, [UInt8]) -> Void) {
                self.receive = receive
            }
        }
    }

    /// A subscription to a subject, for as long as this object exists.
    ///
    /// Unchecked: the pointer never changes.
    package final class NATSSubscription: @unchecked Sendable {
        private let subscription: OpaquePointer

        init(_ subscription: OpaquePointer) {
            self.subscription = subscription
        }

        deinit {
            natsSubscription_Unsubscribe(subscription)
            natsSubscription_Destroy(subscription)
        }
    }
#endif
