// Part of Inkstone. Licence: see LICENSE.

import CCURL
import Foundation

/// libcurl's multi handle, its sockets and its timers; lives on the loop's thread.
///
/// libcurl says which sockets it waits for and until when, and is called for those that are ready:
/// a wake-up costs one system call and the work of one transfer, however many are in progress.
final class MultiHandle {
    private let loop: TransferLoop
    private let multi: UnsafeMutableRawPointer
    private var transfers: [UnsafeMutableRawPointer: Transfer] = [:]
    private var watches: [LatenessWatch] = []
    /// Events that libcurl waits for.
    private var sockets: [Int32: Int16] = [:]
    /// The same for `poll`, behind the pipe; made again when `sockets` has changed.
    private var polled: [pollfd] = []
    private var hasChanged = true
    /// When libcurl wants to be called.
    private var libraryDue: ContinuousClock.Instant?
    /// When some transfer may be over its time; not after the first that is.
    private var timeoutCheck: ContinuousClock.Instant?

    init(_ loop: TransferLoop) {
        self.loop = loop
        guard let multi = curl_multi_init() else { preconditionFailure("out of memory") }
        self.multi = multi
        let limit = loop.settings.connectionLimit
        ccurl_set_multi_long(multi, CURLMOPT_MAX_HOST_CONNECTIONS, limit)
        ccurl_set_multi_long(multi, CURLMOPT_MAXCONNECTS, limit)
        let pointer = Unmanaged.passUnretained(self).toOpaque()
        ccurl_on_watch(multi, watchSocket, pointer)
        ccurl_on_timer(multi, scheduleCall, pointer)
    }

    /// Ends all transfers and closes all connections.
    func end(_ error: TransferError) {
        for transfer in transfers.values { finish(transfer, error) }
        curl_multi_cleanup(multi)
    }

    // MARK: - Commands

    /// Performs a command; returns whether the loop stops.
    func perform(_ command: TransferLoop.Command) -> Bool {
        switch command {
        case .start(let transfer): start(transfer)
        case .cancel(let transfer):
            finish(transfer, TransferError(.cancelled, "the transfer was cancelled"))
        case .resume(let transfer):
            transfer.unpause()
            checkTimeout(transfer)
        case .watch(let watch): watches.append(watch)
        case .stop: return true
        }
        return false
    }

    private func start(_ transfer: Transfer) {
        do throws(TransferError) {
            let settings = loop.settings
            let handle = try transfer.start(
                usesProxies: settings.usesEnvironmentProxies,
                connectionAge: settings.connectionAge, certificates: settings.certificates)
            transfers[handle] = transfer
            let code = curl_multi_add_handle(multi, handle)
            guard code == CURLM_OK else {
                throw TransferError(.other, String(cString: curl_multi_strerror(code)))
            }
            checkTimeout(transfer)
        } catch {
            finish(transfer, error)
        }
    }

    private func finish(_ transfer: Transfer, _ error: TransferError?) {
        if let handle = transfer.handle, transfers.removeValue(forKey: handle) != nil {
            curl_multi_remove_handle(multi, handle)
        }
        transfer.end(error)
    }

    // MARK: - Waiting

    /// Calls libcurl and ends transfers where it is time.
    func runTimers() {
        let now = ContinuousClock.now
        if let due = libraryDue, due <= now {
            libraryDue = nil
            // No socket: CURL_SOCKET_TIMEOUT.
            call(-1, 0)
        }
        if let check = timeoutCheck, check <= now {
            timeoutCheck = nil
            for transfer in transfers.values {
                if let due = transfer.due, due <= now {
                    finish(transfer, transfer.timeout)
                } else {
                    checkTimeout(transfer)
                }
            }
        }
        watches.removeAll { !$0.run(now) }
    }

    private func checkTimeout(_ transfer: Transfer) {
        timeoutCheck = [timeoutCheck, transfer.due].compactMap(\.self).min()
    }

    /// Waits for sockets, for the pipe, or until the next timer, and lets libcurl read and write.
    func wait(orUntilReadable pipe: Int32) {
        if hasChanged {
            hasChanged = false
            polled = [pollfd(fd: pipe, events: Int16(POLLIN), revents: 0)]
            polled += sockets.map { pollfd(fd: $0.key, events: $0.value, revents: 0) }
        }
        let due = ([libraryDue, timeoutCheck] + watches.map(\.due)).compactMap(\.self).min()
        guard
            ccurl_poll(&polled, nfds_t(polled.count), due.map { ($0 - .now).nanoseconds } ?? -1) > 0
        else { return }
        let ready = polled.dropFirst().filter { $0.revents != 0 }
        for entry in ready where sockets[entry.fd] != nil {
            var mask: Int32 = 0
            if entry.revents & Int16(POLLIN | POLLHUP) != 0 { mask |= CURL_CSELECT_IN }
            if entry.revents & Int16(POLLOUT) != 0 { mask |= CURL_CSELECT_OUT }
            if entry.revents & Int16(POLLERR | POLLNVAL) != 0 { mask |= CURL_CSELECT_ERR }
            call(entry.fd, mask)
        }
    }

    private func call(_ socket: Int32, _ mask: Int32) {
        var running: Int32 = 0
        curl_multi_socket_action(multi, socket, mask, &running)
        var code = CURLE_OK
        while let handle = ccurl_next_ended(multi, &code) {
            guard let transfer = transfers[handle] else { continue }
            finish(transfer, transfer.error(code))
        }
    }

    // MARK: - Called by libcurl

    fileprivate func watch(_ socket: Int32, _ what: Int32) {
        hasChanged = true
        switch what {
        case CURL_POLL_IN: sockets[socket] = Int16(POLLIN)
        case CURL_POLL_OUT: sockets[socket] = Int16(POLLOUT)
        case CURL_POLL_INOUT: sockets[socket] = Int16(POLLIN | POLLOUT)
        case CURL_POLL_NONE: sockets[socket] = 0
        default: sockets[socket] = nil
        }
    }

    fileprivate func schedule(_ milliseconds: Int) {
        libraryDue = milliseconds < 0 ? nil : .now + .milliseconds(milliseconds)
    }
}

private func watchSocket(
    _ handle: UnsafeMutableRawPointer?, _ socket: curl_socket_t, _ what: Int32,
    _ context: UnsafeMutableRawPointer?, _ own: UnsafeMutableRawPointer?
) -> Int32 {
    guard let context else { return 0 }
    Unmanaged<MultiHandle>.fromOpaque(context).takeUnretainedValue().watch(socket, what)
    return 0
}

private func scheduleCall(
    _ multi: UnsafeMutableRawPointer?, _ milliseconds: Int, _ context: UnsafeMutableRawPointer?
) -> Int32 {
    guard let context else { return 0 }
    Unmanaged<MultiHandle>.fromOpaque(context).takeUnretainedValue().schedule(milliseconds)
    return 0
}
