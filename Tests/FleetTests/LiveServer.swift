// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import Fleet
    import Foundation

    /// A nats-server that one test starts and stops.
    struct LiveServer {
        static let program = ["/usr/sbin/nats-server", "/usr/bin/nats-server"].first {
            FileManager.default.isExecutableFile(atPath: $0)
        }

        let store: FleetStore
        private let process = Process()
        private let folder = FileManager.default.temporaryDirectory
            .appending(path: "inkstone-nats-\(UUID().uuidString)")

        init(_ settings: FleetSettings = FleetSettings()) async throws {
            let port = Int.random(in: 20_000..<30_000)
            process.executableURL = URL(filePath: Self.program ?? "")
            process.arguments = [
                "-a", "127.0.0.1", "-p", "\(port)", "-js", "-sd", folder.path,
            ]
            process.standardError = FileHandle.nullDevice
            try process.run()
            let address = try NATSAddress("nats://127.0.0.1:\(port)")
            let end = ContinuousClock.now + .seconds(10)
            while true {
                do {
                    store = try await FleetStore(
                        NATSConnection(address, name: "test"), settings)
                    return
                } catch let error as NATSError {
                    guard ContinuousClock.now < end else { throw error }
                    try await Task.sleep(for: .milliseconds(50))
                }
            }
        }

        func stop() {
            store.close()
            process.terminate()
            process.waitUntilExit()
            try? FileManager.default.removeItem(at: folder)
        }
    }
#endif
