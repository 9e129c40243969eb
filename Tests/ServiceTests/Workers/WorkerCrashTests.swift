// Part of Inkstone. Licence: see LICENSE.

#if arch(x86_64) && os(Linux)
    import Engine
    import Foundation
    import Logging
    import Service
    import Synchronization
    import Testing

    /// Crashes of native code, whose process the Swift runtime stops to describe it.
    @Suite("A crash of a worker", .serialized, .timeLimit(.minutes(3)))
    struct WorkerCrashTests {
        @Test(
            "costs seconds at most, and the log has the signal",
            arguments: ["SIGSEGV", "SIGILL", "SIGTRAP"])
        func crash(signal: String) async throws {
            let logs = PoolLog()
            try await WorkerBench.withPool(logs: logs) { pool in
                let model = try await pool.launch(WorkerBench.launch)
                let request = try WorkerBench.request(model, steps: 200)
                let victim = try await WorkerBench.pid(pool)
                var (crash, next): (ContinuousClock.Instant?, ContinuousClock.Instant?)
                let outcome = try await Outcome(pool.events(for: request, model: model.id)) {
                    runs in
                    if crash == nil { crash = .now }
                    // A thread that runs cannot be made to fail: the next event tries again.
                    if runs == 1 { try? Fault(signal).inject(into: victim) }
                    if runs > 1 { next = next ?? .now }
                }
                #expect(outcome.list == (try WorkerBench.expected(request)))
                // The runtime alone may take half a minute; a busy machine needs some of it.
                let delay = try #require(next) - (try #require(crash))
                #expect(delay < .seconds(15))
                print("\(signal): \(delay) until the next step")
                #expect(logs.lines.all.withLock { $0.contains { $0.contains("(\(signal))") } })
            }
        }

        /// Runs a shell script as if it were the program.
        private func run(_ script: String) async throws -> LaunchError? {
            var settings = WorkerSettings()
            settings.program = "/bin/sh"
            let pool = try WorkerPool(
                settings: settings, logger: Logger(label: "test") { _ in PoolLog() })
            let error = await #expect(throws: LaunchError.self) {
                try await pool.runProgram(["-c", script])
            }
            await pool.shutdown(grace: .zero)
            return error
        }

        @Test(
            "is known although another process holds its output",
            arguments: ["sleep 200", "setsid sleep 200"])
        func heldOutput(holder: String) async throws {
            let error = try await run("\(holder) & kill -KILL $$")
            #expect(error?.message == "it ended with signal 9 (SIGKILL).")
        }

        @Test("is described for a limited time")
        func longDescription() async throws {
            let error = try await run(
                "printf 'before\\n*** Signal 11: Backtracing from 0x1...'; sleep 200")
            #expect(error?.message == "*** Signal 11: Backtracing from 0x1...")
        }
    }

    /// An instruction that ends a process.
    private struct Fault {
        private let code: [UInt8]

        init(_ signal: String) throws {
            code =
                switch signal {
                case "SIGILL": [0x0f, 0x0b]
                case "SIGTRAP": [0xcc, 0xcc]
                // Reads address 0.
                default: [0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0]
                }
        }

        /// Writes the instruction where the threads that wait for connections return from their system call.
        ///
        /// Other calls are used by the runtime while it describes the crash.
        func inject(into pid: Int32) throws {
            let tasks = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")
            let memory = try FileHandle(forUpdating: URL(filePath: "/proc/\(pid)/mem"))
            defer { try? memory.close() }
            for task in tasks {
                guard
                    try String(
                        contentsOfFile: "/proc/\(pid)/task/\(task)/comm", encoding: .utf8
                    ).hasPrefix("NIO"),
                    let text = try? String(
                        contentsOfFile: "/proc/\(pid)/task/\(task)/syscall", encoding: .utf8),
                    let word = text.split(whereSeparator: \.isWhitespace).last,
                    let address = UInt64(word.dropFirst(2), radix: 16)
                else { continue }
                try memory.seek(toOffset: address)
                try memory.write(contentsOf: code)
            }
        }
    }
#endif
