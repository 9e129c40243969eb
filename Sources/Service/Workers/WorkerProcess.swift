// Part of Inkstone. Licence: see LICENSE.

import Dispatch
import Foundation
import Synchronization

/// A child process: its end, its lines on standard output and error, and signals to it.
package final class WorkerProcess: Sendable {
    private struct State {
        var end: ProcessEnd?
        /// The newest lines, until it is ready.
        var held: [String] = []
        var isReady = false
        /// The signal that it describes a crash by.
        var crash: Int32?
    }

    /// Its number.
    let pid: pid_t
    /// Set when the process has ended.
    private let ended = Promise<ProcessEnd>()
    /// Set when the process writes `WorkerServer.readyLine`, or has ended.
    private let ready = Promise<Void>()
    private let state = Mutex(State())
    private let log: @Sendable (String) -> Void

    /// Starts a program in a process group of its own, so that Ctrl-C reaches the gateway alone.
    ///
    /// Its standard input is a pipe that closes when this process ends.
    ///
    /// - Parameters:
    ///   - program: path of the program.
    ///   - arguments: the words behind the program's name.
    ///   - log: Receives the lines of its standard output and error, once it is ready.
    /// - Throws: `LaunchError`.
    package init(program: String, arguments: [String], log: @escaping @Sendable (String) -> Void)
        throws
    {
        self.log = log
        let child = try Self.spawn(program, arguments)
        pid = child.pid
        // Threads of their own: they wait all the time.
        Thread.detachNewThread { self.watch(child) }
    }

    /// How it ended, or `nil` while it runs.
    var end: ProcessEnd? { state.withLock { $0.end } }

    /// The signal that it describes a crash by, if it does.
    var crashSignal: Int32? { state.withLock { $0.crash } }

    /// Waits until it ends, also in a cancelled task.
    package func waitForEnd() async -> ProcessEnd {
        if let end = await ended.wait() { return end }
        return await withoutCancellation { await self.waitForEnd() }
    }

    /// Waits until it ends, for a limited time.
    ///
    /// Returns `nil` where it still runs.
    func waitForEnd(atMost limit: Duration) async -> ProcessEnd? {
        await ended.wait(atMost: limit)
    }

    /// Waits until it reports that it is ready, or ends.
    ///
    /// - Returns: Whether that was within the time.
    func waitUntilReady(atMost limit: Duration) async -> Bool {
        await ready.wait(atMost: limit) != nil
    }

    /// Sends a signal, unless it has ended.
    func send(_ signal: Int32) {
        // Within the lock: afterwards the number may belong to another process.
        state.withLock { if $0.end == nil { kill(pid, signal) } }
    }

    /// Logs its lines from now on as they arrive, and those that were held.
    package func logLines() {
        let held = state.withLock { state in
            state.isReady = true
            defer { state.held = [] }
            return state.held
        }
        held.forEach(log)
    }

    /// The last line that it wrote before it was ready.
    var lastWords: String? { state.withLock { $0.held.last } }

    // MARK: - Watching

    private func watch(_ child: Child) {
        let hasRead = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            self.readLines(child.errors)
            close(child.errors)
            hasRead.signal()
        }
        var information = siginfo_t()
        // It stays a zombie, so that no other process gets its number before the lock is held.
        while waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) != 0, errno == EINTR {}
        // Processes that it has started, such as the one that writes a backtrace, would keep its output
        // open, and it is not replaced before its last lines are known.
        kill(-pid, SIGKILL)
        _ = hasRead.wait(timeout: .now() + .seconds(1))
        let end = state.withLock { state in
            var status: Int32 = 0
            while waitpid(pid, &status, 0) < 0, errno == EINTR {}
            var end = ProcessEnd(waitStatus: status)
            if let crash = state.crash, case .signal = end { end = .signal(crash) }
            state.end = end
            return end
        }
        close(child.input)
        ended.fulfil(end)
        ready.fulfil(())
    }

    /// Time that a process which crashes has to describe the crash.
    private static let crashTimeout = DispatchTimeInterval.seconds(2)

    /// What the Swift runtime writes when it begins to describe a crash, before the number of the signal;
    /// until it has ended, the process stands still and keeps its connections.
    private static let crashPrefix = Array("*** Signal ".utf8)

    /// Ends a process that describes its crash for too long.
    private func watchCrash(_ line: ArraySlice<UInt8>) {
        let digits = line.dropFirst(Self.crashPrefix.count).prefix {
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
        }
        guard let signal = Int32(String(decoding: digits, as: UTF8.self)) else { return }
        state.withLock { $0.crash = signal }
        DispatchQueue.global().asyncAfter(deadline: .now() + Self.crashTimeout) {
            self.send(SIGKILL)
        }
    }

    private func readLines(_ descriptor: Int32) {
        var rest: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        var isCrashing = false
        while true {
            let count = read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            rest += chunk[..<count]
            while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                receive(rest[..<end])
                rest.removeSubrange(...end)
            }
            // The line has no end before the description has.
            if !isCrashing, rest.starts(with: Self.crashPrefix), rest.last == UInt8(ascii: ".") {
                isCrashing = true
                watchCrash(rest[...])
            }
            if rest.count > 1 << 16 {
                receive(rest[...])
                rest = []
            }
        }
        if !rest.isEmpty { receive(rest[...]) }
    }

    private func receive(_ bytes: ArraySlice<UInt8>) {
        let line = String(decoding: bytes, as: UTF8.self)
        if line == WorkerServer.readyLine { return ready.fulfil(()) }
        let isReady = state.withLock { state in
            if !state.isReady { state.held = state.held.suffix(99) + [line] }
            return state.isReady
        }
        if isReady { log(line) }
    }

    // MARK: - Starting

    private struct Child {
        var pid: pid_t
        /// Where its standard input comes from; only ever closed.
        var input: Int32
        /// Where its lines arrive.
        var errors: Int32
    }

    /// One at a time: no child may inherit the pipe of another between its making and its marking.
    private static let spawning = Mutex(())

    private static func spawn(_ program: String, _ arguments: [String]) throws -> Child {
        try spawning.withLock { _ in
            let input = try makePipe()
            defer { close(input.read) }
            let errors: (read: Int32, write: Int32)
            do {
                errors = try makePipe()
            } catch {
                close(input.write)
                throw error
            }
            defer { close(errors.write) }
            #if canImport(Darwin)
                var actions: posix_spawn_file_actions_t?
                var attributes: posix_spawnattr_t?
            #else
                var actions = posix_spawn_file_actions_t()
                var attributes = posix_spawnattr_t()
            #endif
            posix_spawn_file_actions_init(&actions)
            defer { posix_spawn_file_actions_destroy(&actions) }
            posix_spawn_file_actions_adddup2(&actions, input.read, STDIN_FILENO)
            posix_spawn_file_actions_adddup2(&actions, errors.write, STDOUT_FILENO)
            posix_spawn_file_actions_adddup2(&actions, errors.write, STDERR_FILENO)
            // Ports and locks of the gateway must not live on in a worker.
            closeDescriptors(&actions)
            posix_spawnattr_init(&attributes)
            defer { posix_spawnattr_destroy(&attributes) }
            // Ignored and blocked signals of this process are not inherited.
            var (all, none) = (sigset_t(), sigset_t())
            sigfillset(&all)
            sigemptyset(&none)
            posix_spawnattr_setsigdefault(&attributes, &all)
            posix_spawnattr_setsigmask(&attributes, &none)
            posix_spawnattr_setpgroup(&attributes, 0)
            let flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP
            posix_spawnattr_setflags(&attributes, Int16(flags))
            var words: [UnsafeMutablePointer<CChar>?] = (["inkstone"] + arguments).map {
                strdup($0)
            }
            words.append(nil)
            var environment: [UnsafeMutablePointer<CChar>?] = Self.environment
                .map { strdup("\($0)=\($1)") }
            environment.append(nil)
            defer { (words + environment).forEach { free($0) } }
            var pid: pid_t = 0
            let status = posix_spawn(&pid, program, &actions, &attributes, words, environment)
            guard status == 0 else {
                close(input.write)
                close(errors.read)
                throw failure("start \(program)", status)
            }
            return Child(pid: pid, input: input.write, errors: errors.read)
        }
    }

    /// Options of the Swift runtime for a process that crashes: only the thread that has crashed is described.
    private static let shortBacktrace =
        "threads=crashed,registers=none,images=none,interactive=no,symbolicate=fast"

    /// The environment of this process, in which a crash costs little time.
    ///
    /// By default the Swift runtime describes all threads and libraries of a process that crashes, which
    /// keeps it, its memory and its requests for up to half a minute.
    private static var environment: [String: String] {
        var environment = ProcessInfo.processInfo.environment
        let name = "SWIFT_BACKTRACE"
        environment[name] = environment[name] ?? Self.shortBacktrace
        return environment
    }

    #if canImport(Darwin)
        private typealias FileActions = posix_spawn_file_actions_t?
    #else
        private typealias FileActions = posix_spawn_file_actions_t
    #endif
    private typealias AddCloseFrom =
        @convention(c) (UnsafeMutablePointer<FileActions>, Int32) -> Int32

    /// glibc's `posix_spawn_file_actions_addclosefrom_np`, which its Swift module does not have.
    private static let addCloseFrom = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np")
        .map { unsafeBitCast($0, to: AddCloseFrom.self) }

    /// Adds the closing of every file but standard input, output and error.
    ///
    /// With glibc the child closes them, so that files which other threads open until then are included; with
    /// other libraries those that are open now.
    private static func closeDescriptors(_ actions: inout FileActions) {
        if let addCloseFrom {
            _ = addCloseFrom(&actions, STDERR_FILENO + 1)
            return
        }
        #if os(Linux)
            let folder = "/proc/self/fd"
        #else
            let folder = "/dev/fd"
        #endif
        let names = try? FileManager.default.contentsOfDirectory(atPath: folder)
        // One that is closed by the time that the list is used does no harm.
        for descriptor in (names ?? []).compactMap({ Int32($0) })
        where descriptor > STDERR_FILENO {
            posix_spawn_file_actions_addclose(&actions, descriptor)
        }
    }

    private static func makePipe() throws -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw failure("make a pipe", errno) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    private static func failure(_ action: String, _ code: Int32) -> LaunchError {
        LaunchError(.failed, "cannot \(action) for a worker: \(String(cString: strerror(code))).")
    }
}
