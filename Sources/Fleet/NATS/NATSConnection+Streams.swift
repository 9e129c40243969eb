// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import CNATS
    import Service
    import Synchronization

    #if canImport(Glibc)
        import Glibc
    #elseif canImport(Musl)
        import Musl
    #else
        import Darwin
    #endif

    /// The configuration of a stream that is missing; an existing one is used as it is.
    package struct StreamPlan: Sendable {
        var name: String
        var subject: String
        /// Whether a message is removed when its receiver has acknowledged it.
        var isWorkQueue = false
        /// Seconds that messages are kept; for ever if 0.
        var age = 0.0
        /// Bytes of all messages, the oldest of which are removed first; no limit if 0.
        var bytes = 0
        /// Whether only the newest message of a subject is kept.
        var keepsNewest = false
        /// Seconds in which a message id that came before is recognised.
        var duplicates = 120.0
        /// Replicas of the stream.
        var replicas = 1
    }

    extension NATSConnection {
        /// Nanoseconds, as the server counts.
        static func nanoseconds(_ seconds: Double) -> Int64 { Int64(seconds * 1e9) }

        /// Makes a stream if there is none of its name.
        package func ensure(_ plan: StreamPlan) async throws {
            try await blocking { try self.make(plan) }
        }

        private func make(_ plan: StreamPlan) throws {
            // An existing one is not made again: the server would check its space first.
            if try state(of: plan.name) != nil { return }
            let made = Result { try add(plan) }
            // Another program may have made it meanwhile.
            if case .failure(let error) = made, try state(of: plan.name) == nil { throw error }
        }

        /// What a stream holds, or `nil` where there is none.
        func state(of stream: String) throws -> jsStreamState? {
            var info: UnsafeMutablePointer<jsStreamInfo>?
            var code = jsErrCode(0)
            let status = js_GetStreamInfo(&info, context, stream, nil, &code)
            if status == NATS_NOT_FOUND || code == JSStreamNotFoundErr { return nil }
            try check(status, code, "asking for the stream '\(stream)'")
            defer { jsStreamInfo_Destroy(info) }
            return info?.pointee.State
        }

        private func add(_ plan: StreamPlan) throws {
            try plan.name.withCString { name in
                try plan.subject.withCString { subject in
                    var subjects: [UnsafePointer<CChar>?] = [subject]
                    try subjects.withUnsafeMutableBufferPointer { subjects in
                        var config = jsStreamConfig()
                        jsStreamConfig_Init(&config)
                        config.Name = name
                        config.Subjects = subjects.baseAddress
                        config.SubjectsLen = 1
                        config.Retention = plan.isWorkQueue ? js_WorkQueuePolicy : js_LimitsPolicy
                        config.Storage = js_FileStorage
                        config.Discard = js_DiscardOld
                        if plan.age > 0 { config.MaxAge = Self.nanoseconds(plan.age) }
                        if plan.bytes > 0 { config.MaxBytes = Int64(plan.bytes) }
                        if plan.keepsNewest { config.MaxMsgsPerSubject = 1 }
                        config.Duplicates = Self.nanoseconds(plan.duplicates)
                        config.Replicas = Int64(plan.replicas)
                        config.AllowDirect = !plan.isWorkQueue
                        var code = jsErrCode(0)
                        let status = js_AddStream(nil, context, &config, nil, &code)
                        if status != NATS_OK, code == JSStreamNameExistErr { return }
                        try check(status, code, "making the stream '\(plan.name)'")
                    }
                }
            }
        }

        /// Stores a message; returns when the server has it.
        ///
        /// - Parameters:
        ///   - subject: of a stream.
        ///   - bytes: `messageLimit` at most.
        ///   - id: a message with an id that came lately is not stored again.
        ///   - revision: number that the subject's newest message must have, 0 for none.
        /// - Returns: the message's number in its stream.
        /// - Throws: `NATSError` of code `conflict` when the newest message has another number.
        @discardableResult
        package func store(
            _ subject: String, _ bytes: [UInt8], id: String? = nil, after revision: UInt64? = nil
        ) async throws -> UInt64 {
            do {
                let number = try await blocking {
                    try self.storeNow(subject, bytes, id: id, after: revision)
                }
                setFull(false)
                return number
            } catch let error as NATSError {
                if error.code == .full { setFull(true) }
                throw error
            }
        }

        private func setFull(_ isFull: Bool) {
            let wasFull = self.isFull.exchange(isFull, ordering: .relaxed)
            if wasFull != isFull { spaceChanges.notify() }
        }

        private func storeNow(
            _ subject: String, _ bytes: [UInt8], id: String?, after revision: UInt64?
        ) throws -> UInt64 {
            var options = jsPubOptions()
            jsPubOptions_Init(&options)
            options.MaxWait = Self.timeout
            if let revision {
                if revision == 0 {
                    options.ExpectNoMessage = true
                } else {
                    options.ExpectLastSubjectSeq = revision
                }
            }
            let id = id.map { strdup($0) } ?? nil
            defer { free(id) }
            if let id { options.MsgId = UnsafePointer(id) }
            var answer: UnsafeMutablePointer<jsPubAck>?
            var code = jsErrCode(0)
            let status = bytes.withUnsafeBytes {
                js_Publish(
                    &answer, context, subject, $0.baseAddress, Int32($0.count), &options, &code)
            }
            defer { jsPubAck_Destroy(answer) }
            try check(status, code, "storing a message for \(subject)")
            return answer?.pointee.Sequence ?? 0
        }

        /// The newest message of a subject.
        package func newest(
            of subject: String, in stream: String
        ) async throws -> (bytes: [UInt8], revision: UInt64)? {
            // As bytes, from any server of the cluster.
            if let found = try? await blocking({ try self.newestDirectly(subject, stream) }) {
                return found
            }
            do {
                // As text, but from the leader, which has all messages.
                return try await blocking { try self.newestNow(subject, stream) }
            } catch let error as NATSError where error.code == .notFound {
                return nil
            }
        }

        private func newestDirectly(
            _ subject: String, _ stream: String
        ) throws -> (bytes: [UInt8], revision: UInt64) {
            try subject.withCString { subject in
                var wanted = jsDirectGetMsgOptions()
                jsDirectGetMsgOptions_Init(&wanted)
                wanted.LastBySubject = subject
                var message: OpaquePointer?
                try check(
                    js_DirectGetMsg(&message, context, stream, nil, &wanted), "reading a message")
                guard let message else { throw NATSError(.notFound, "reading a message") }
                defer { natsMsg_Destroy(message) }
                return (NATSMessage.bytes(of: message), natsMsg_GetSequence(message))
            }
        }

        private func newestNow(
            _ subject: String, _ stream: String
        ) throws -> (bytes: [UInt8], revision: UInt64) {
            var message: OpaquePointer?
            var code = jsErrCode(0)
            try check(
                js_GetLastMsg(&message, context, stream, subject, nil, &code), code,
                "reading \(subject)")
            guard let message else { throw NATSError(.notFound, "reading \(subject)") }
            defer { natsMsg_Destroy(message) }
            return (NATSMessage.bytes(of: message), natsMsg_GetSequence(message))
        }

        /// Unacknowledged messages of a stream, or `nil` where there is no such stream.
        package func depth(of stream: String) async throws -> Int? {
            try await blocking { try self.state(of: stream).map { Int($0.Msgs) } }
        }

        /// Removes the messages of a subject up to one of a number, which includes it.
        package func purge(
            _ subject: String, in stream: String, through number: UInt64
        ) async throws {
            try await blocking {
                try subject.withCString { subject in
                    var options = jsOptions()
                    jsOptions_Init(&options)
                    options.Stream.Purge.Subject = subject
                    options.Stream.Purge.Sequence = number + 1
                    var code = jsErrCode(0)
                    try check(
                        js_PurgeStream(self.context, stream, &options, &code), code,
                        "removing messages of \(stream)")
                }
            }
        }
    }
#endif
