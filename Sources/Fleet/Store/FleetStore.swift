// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import Basics
    package import Engine
    import Imaging
    package import Service
    import Synchronization

    import Foundation

    /// The streams and buckets of a fleet.
    package final class FleetStore: Sendable {
        package let connection: NATSConnection
        package let jobs, keys, workers, models: Bucket
        private let secrets: Bucket
        let settings: FleetSettings

        /// Opens the streams and buckets, and makes those that are missing.
        package init(_ connection: NATSConnection, _ settings: FleetSettings) async throws {
            self.connection = connection
            self.settings = settings
            let open: @Sendable (String, Double) async throws -> Bucket = { name, age in
                try await connection.blocking {
                    try Bucket(connection, name, age: age, replicas: settings.replicas)
                }
            }
            jobs = try await open(FleetNames.jobs, settings.age)
            keys = try await open(FleetNames.keys, settings.age)
            workers = try await open(FleetNames.workers, settings.presenceAge)
            models = try await open(FleetNames.models, 3600)
            secrets = try await open(FleetNames.secrets, 0)
            try await connection.ensure(
                StreamPlan(
                    name: FleetNames.images, subject: "inkstone.pictures.>", age: settings.age,
                    bytes: settings.imageBytes, keepsNewest: true, replicas: settings.replicas))
            try await connection.ensure(
                StreamPlan(
                    name: FleetNames.dead, subject: "inkstone.dead.>", age: settings.age,
                    replicas: settings.replicas))
        }

        /// Unix seconds.
        static var now: Double { Date().timeIntervalSince1970 }

        /// Makes the queue of a model and priority if there is none.
        package func ensureQueue(of model: String, _ priority: Priority) async throws {
            try await connection.ensure(
                StreamPlan(
                    name: FleetNames.queue(model, priority),
                    subject: FleetNames.queueSubject(model, priority),
                    isWorkQueue: true, age: settings.age, duplicates: 600,
                    replicas: settings.replicas))
        }

        /// Sends what was published and closes the connection.
        package func close() { connection.close() }

        /// The signer of links that all gateways share; its secret is made if there is none.
        ///
        /// - Throws: `NATSError`.
        package func linkSigner() async throws -> LinkSigner {
            while true {
                if let (secret, _) = try await secrets.value(of: FleetNames.linkSecret) {
                    guard let signer = LinkSigner(sharedSecret: secret) else {
                        throw NATSError(
                            .failed, "reading the secret of links: it has \(secret.count) bytes")
                    }
                    return signer
                }
                do {
                    try await secrets.set(
                        FleetNames.linkSecret, LinkSigner.randomSecret(), after: 0)
                } catch let error as NATSError where error.code == .conflict {
                    // Another gateway was first.
                }
            }
        }

        // MARK: - Space

        /// Whether NATS had no space for the last message that was to be stored.
        var isFull: Bool { connection.isFull.load(ordering: .relaxed) }

        /// Tests whether NATS has space again.
        func testSpace() async {
            _ = try? await keys.set(FleetNames.spaceTest, [0])
        }

        // MARK: - Jobs

        /// A job as it is now.
        package func job(_ id: String) async throws -> JobRevision? {
            guard FleetNames.token(id) == id, !id.isEmpty,
                let (bytes, revision) = try await jobs.value(of: id)
            else { return nil }
            return JobRevision(job: try FleetJob.decode(bytes), revision: revision)
        }

        /// Changes a job by compare-and-swap, repeated until no other change interferes.
        ///
        /// - Parameters:
        ///   - id: of the job.
        ///   - base: the job where the bucket has none yet.
        ///   - known: the job as it was last, which saves asking for it.
        ///   - change: Returns the changed job, or `nil` to leave it.
        /// - Returns: the job as it is now, and whether it was changed; `nil` where there is none.
        /// - Throws: `NATSError`, `DecodingError` for a job of another version.
        package func change(
            _ id: String, base: FleetJob? = nil, known: JobRevision? = nil,
            _ change: (FleetJob) -> FleetJob?
        ) async throws -> (now: JobRevision, isChanged: Bool)? {
            var guess = known
            while true {
                var known = guess
                if known == nil { known = try await job(id) }
                guard let old = known?.job ?? base else { return nil }
                guard let new = change(old) else {
                    // A decision on an old state need not hold for the present one.
                    guard guess == nil else {
                        guess = nil
                        continue
                    }
                    return (JobRevision(job: old, revision: known?.revision ?? 0), false)
                }
                do {
                    let revision = try await jobs.set(
                        id, try new.encoded, after: known?.revision ?? 0)
                    return (JobRevision(job: new, revision: revision), true)
                } catch let error as NATSError where error.code == .conflict {
                    // Another change was first: the decision is made again on its result.
                    guess = nil
                }
            }
        }

        /// Ends a job, and informs the worker that has it.
        ///
        /// Returns whether it was not final.
        package func end(_ job: FleetJob, _ end: JobEnd) async throws -> Bool {
            let outcome = try await change(job.id, base: job) { $0.ended(end) }
            guard let outcome, outcome.isChanged else { return false }
            try? connection.publish(FleetNames.cancel(job.id))
            return true
        }

        // MARK: - Files

        /// Stores a file under its digest.
        package func store(_ bytes: [UInt8]) async throws -> StoredFile {
            let file = StoredFile(digest: SHA256.hexadecimal(bytes), size: bytes.count)
            for (number, part) in file.parts(of: NATSConnection.messageLimit).enumerated() {
                try await connection.store(
                    FleetNames.part(file.digest, number), Array(bytes[part]))
            }
            return file
        }

        /// The bytes of a file, or `nil` if it is no longer there.
        package func read(_ file: StoredFile) async throws -> [UInt8]? {
            try await read(named: file.digest)
        }

        /// The bytes of a file of unknown length.
        package func read(named name: String) async throws -> [UInt8]? {
            guard name.utf8.count == 64, FleetNames.token(name) == name else { return nil }
            var bytes: [UInt8] = []
            var number = 0
            while let (part, _) = try await connection.newest(
                of: FleetNames.part(name, number), in: FleetNames.images)
            {
                bytes += part
                number += 1
                if part.count < NATSConnection.messageLimit { break }
            }
            return SHA256.hexadecimal(bytes) == name ? bytes : nil
        }

        /// The numbers of the messages that contain a file's parts; they change when it is stored again.
        package func messages(of file: StoredFile) async throws -> [UInt64] {
            var numbers: [UInt64] = []
            for part in file.parts(of: NATSConnection.messageLimit).indices {
                let newest = try await connection.newest(
                    of: FleetNames.part(file.digest, part), in: FleetNames.images)
                if let newest { numbers.append(newest.revision) }
            }
            return numbers
        }

        /// Removes the messages of a file; those that it is stored in later stay.
        func remove(_ file: StoredFile, _ messages: [UInt64]) async throws {
            for (part, number) in messages.enumerated() {
                try await connection.purge(
                    FleetNames.part(file.digest, part), in: FleetNames.images, through: number)
            }
        }

        /// The image that a job starts from.
        func source(of job: FleetJob) async throws -> ImageRequest.Source? {
            guard let source = job.source else { return nil }
            func decode(_ file: StoredFile) async throws -> RGBImage {
                guard let bytes = try await read(file) else {
                    throw GenerationError(
                        .storage, "the source image is no longer kept; send it again.")
                }
                return try ImageDecoder.decode(bytes).flattened()
            }
            var mask: RGBImage?
            if let file = source.mask { mask = try await decode(file) }
            return ImageRequest.Source(
                image: try await decode(source.image), mask: mask)
        }
    }
#endif
