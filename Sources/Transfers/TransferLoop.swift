// Part of Inkstone. Licence: see LICENSE.

import CCURL
import Foundation
import Synchronization

/// The thread that all transfers of a client run on, seen from other threads.
final class TransferLoop: Sendable {
    /// What other threads ask of the loop.
    enum Command: Sendable {
        case start(Transfer)
        case cancel(Transfer)
        case resume(Transfer)
        case watch(LatenessWatch)
        case stop
    }

    private struct Inbox {
        var commands: [Command] = []
        /// Whether the pipe holds a byte that wakes the loop.
        var isWoken = false
        var isEnded = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    let settings: TransferClient.Settings
    let sockets = SocketCount()
    /// What the loop reads from and others write to, to wake it.
    private let pipe: (reading: Int32, writing: Int32)
    private let inbox = Mutex(Inbox())

    init(_ settings: TransferClient.Settings) {
        self.settings = settings
        _ = Self.library
        var ends: [Int32] = [-1, -1]
        precondition(Foundation.pipe(&ends) == 0, "no file descriptor is left for a pipe")
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        pipe = (ends[0], ends[1])
        Thread.detachNewThread { [self] in run() }
    }

    deinit {
        close(pipe.reading)
        close(pipe.writing)
    }

    /// libcurl, initialized once for the process.
    private static let library = ccurl_initialize()

    /// Hands a command to the loop; after the loop's end new transfers end at once.
    func post(_ command: Command) {
        let isEnded = inbox.withLock { inbox in
            guard !inbox.isEnded else { return true }
            inbox.commands.append(command)
            if !inbox.isWoken {
                inbox.isWoken = true
                var byte: UInt8 = 0
                _ = write(pipe.writing, &byte, 1)
            }
            return false
        }
        if isEnded, case .start(let transfer) = command { transfer.end(Self.shutDown) }
    }

    /// Stops the loop and waits for its end.
    func stop() async {
        post(.stop)
        await withCheckedContinuation { continuation in
            let isEnded = inbox.withLock { inbox in
                if !inbox.isEnded { inbox.waiters.append(continuation) }
                return inbox.isEnded
            }
            if isEnded { continuation.resume() }
        }
    }

    private static let shutDown = TransferError(.cancelled, "the client was shut down")

    // MARK: - The thread

    private func run() {
        // Writing to a connection that the server has closed is an error, not the process's end.
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &signals, nil)

        let multi = MultiHandle(self)
        while !take().reduce(false, { multi.perform($1) || $0 }) {
            multi.runTimers()
            multi.wait(orUntilReadable: pipe.reading)
        }
        multi.end(Self.shutDown)
        let (rest, waiters) = inbox.withLock { inbox in
            inbox.isEnded = true
            defer { (inbox.commands, inbox.waiters) = ([], []) }
            return (inbox.commands, inbox.waiters)
        }
        for case .start(let transfer) in rest { transfer.end(Self.shutDown) }
        for waiter in waiters { waiter.resume() }
    }

    private func take() -> [Command] {
        inbox.withLock { inbox in
            if inbox.isWoken {
                inbox.isWoken = false
                var bytes = (UInt64(0), UInt64(0))
                _ = read(pipe.reading, &bytes, 16)
            }
            defer { inbox.commands = [] }
            return inbox.commands
        }
    }
}
