// Part of Inkstone. Licence: see LICENSE.

import CCURL
import Foundation

/// A request in progress.
///
/// `@unchecked Sendable`: `request`, `delegate` and `loop` never change; everything else is touched
/// by the loop's thread only, where libcurl calls back, too. `cancel` and `resume` post a command to
/// that thread.
package final class Transfer: @unchecked Sendable {
    let request: TransferRequest
    let delegate: any TransferDelegate
    private let loop: TransferLoop

    /// libcurl's handle, from `start` to `end`.
    private(set) var handle: UnsafeMutableRawPointer?
    private var fields: UnsafeMutablePointer<curl_slist>?
    private var errorText: UnsafeMutablePointer<CChar>?
    private var isEnded = false

    private var head = TransferHead(status: 0)
    private var hasHead = false
    /// Whether the response that was read last is a redirect that libcurl follows.
    private var isRedirected = false
    private(set) var wasSent = false
    private var isRepeated = false

    private(set) var isPaused = false
    private var uploaded: curl_off_t = 0
    private var begin: ContinuousClock.Instant = .now
    private var lastByte: ContinuousClock.Instant?

    init(_ request: TransferRequest, delegate: any TransferDelegate, loop: TransferLoop) {
        self.request = request
        self.delegate = delegate
        self.loop = loop
    }

    /// Ends the transfer with an error of code `cancelled`, unless it has ended; closes its connection.
    package func cancel() { loop.post(.cancel(self)) }

    /// Delivers bytes again after the delegate has paused.
    package func resume() { loop.post(.resume(self)) }

    // MARK: - On the loop's thread

    /// Makes the handle.
    ///
    /// - Throws: `TransferError` for a request that cannot be sent.
    func start(
        usesProxies: Bool, connectionAge: Duration, certificates: String?
    ) throws(TransferError) -> UnsafeMutableRawPointer {
        if let fault = request.fault { throw TransferError(.request, fault) }
        guard !isEnded else { throw TransferError(.cancelled, "the transfer was cancelled") }
        guard let handle = curl_easy_init() else { throw TransferError(.other, "out of memory") }
        self.handle = handle
        begin = .now
        var options = TransferOptions(handle)
        options.setRequest(request)
        fields = options.setFields(request)
        options.setLimits(request, connectionAge: connectionAge)
        options.setProxies(usesProxies)
        if let certificates { options.set(CURLOPT_CAINFO, certificates) }
        let text = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
        text.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        errorText = text
        options.check(ccurl_set_pointer(handle, CURLOPT_ERRORBUFFER, text))
        options.check(ccurl_on_socket(handle, openSocket, closeSocket, loop.sockets.pointer))
        let pointer = Unmanaged.passUnretained(self).toOpaque()
        options.check(ccurl_on_header(handle, receiveHeader, pointer))
        options.check(ccurl_on_body(handle, receiveBody, pointer))
        options.check(ccurl_on_request(handle, willSend, pointer))
        if request.body?.isEmpty == false {
            options.check(ccurl_on_progress(handle, progress, pointer))
        }
        guard options.status == CURLE_OK else {
            let code = options.status
            throw TransferError(code, detail: "", wasSent: false)
        }
        return handle
    }

    /// Releases the handle and reports the end; the handle is no longer part of a multi handle.
    func end(_ error: TransferError?) {
        guard !isEnded else { return }
        isEnded = true
        if let handle { curl_easy_cleanup(handle) }
        handle = nil
        curl_slist_free_all(fields)
        fields = nil
        errorText?.deallocate()
        errorText = nil
        delegate.transferDidEnd(error)
    }

    /// The error of libcurl's result; `nil` where the transfer is complete.
    func error(_ code: CURLcode) -> TransferError? {
        if isRepeated {
            return TransferError(
                .closed, "the server closed the connection before it answered")
        }
        guard code != CURLE_OK else { return nil }
        return TransferError(
            code, detail: errorText.map { String(cString: $0) } ?? "",
            wasSent: wasSent && !isRedirected)
    }

    /// When it times out unless a byte arrives.
    var due: ContinuousClock.Instant? {
        let total = request.totalTimeout.map { begin + $0 }
        guard !isPaused, let silence = request.silenceTimeout else { return total }
        // Before it is sent, it is not silent: it is looked at again later.
        let next = (lastByte ?? .now) + silence
        return total.map { min($0, next) } ?? next
    }

    /// The error of a transfer whose time is over.
    var timeout: TransferError {
        if let total = request.totalTimeout, begin + total <= .now {
            return TransferError(.timeout, "no end after \(total)")
        }
        return TransferError(.timeout, "no byte for \(request.silenceTimeout ?? .zero)")
    }

    func unpause() {
        guard isPaused, let handle else { return }
        isPaused = false
        lastByte = .now
        curl_easy_pause(handle, CURLPAUSE_CONT)
    }

    // MARK: - Called by libcurl

    /// Allows a request to be sent once for each address, unless it may be repeated.
    ///
    /// libcurl sends a request again, on a new connection, when a server closes a connection that was
    /// kept from an earlier request: it cannot know whether the first one had an effect, and a load
    /// test would not see that the server closes connections.
    func isAllowedToSend(localPort: Int32) -> Bool {
        loop.sockets.didConnect(localPort: localPort)
        if wasSent, !isRedirected, !request.isRepeatable {
            isRepeated = true
            return false
        }
        isRedirected = false
        wasSent = true
        lastByte = .now
        delegate.transferWillSend()
        return true
    }

    func receive(headerLine bytes: UnsafeRawBufferPointer) {
        lastByte = .now
        guard !hasHead else { return }
        var line = bytes[...]
        while let last = line.last, last == 0x0A || last == 0x0D { line = line.dropLast() }
        // Header values are bytes; those that are not UTF-8 are shown as replacement characters.
        let text = String(decoding: line, as: UTF8.self)
        if text.hasPrefix("HTTP/") {
            let parts = text.split(separator: " ", maxSplits: 2)
            head = TransferHead(status: parts.count > 1 ? Int(parts[1]) ?? 0 : 0)
        } else if text.isEmpty {
            endHead()
        } else if text.hasPrefix(" ") || text.hasPrefix("\t") {
            head.headers.fold(text.trimmed)
        } else if let colon = text.firstIndex(of: ":") {
            head.headers.add(
                text[..<colon].trimmed, text[text.index(after: colon)...].trimmed)
        }
    }

    private func endHead() {
        // An interim response, such as 100.
        guard head.status >= 200 else { return }
        let location = head.headers.first("location") ?? ""
        if request.redirectLimit > 0, (300..<400).contains(head.status), !location.isEmpty {
            isRedirected = true
            return
        }
        hasHead = true
        delegate.transferDidReceive(head)
    }

    func receive(body bytes: UnsafeRawBufferPointer) -> Bool {
        lastByte = .now
        guard delegate.transferDidReceive(bytes) == .pause else { return true }
        isPaused = true
        return false
    }

    func uploaded(_ count: curl_off_t) {
        guard count > uploaded else { return }
        uploaded = count
        lastByte = .now
    }
}

extension StringProtocol {
    /// Without spaces and tabs around it.
    fileprivate var trimmed: String {
        var rest = self[...]
        while rest.first == " " || rest.first == "\t" { rest = rest.dropFirst() }
        while rest.last == " " || rest.last == "\t" { rest = rest.dropLast() }
        return String(rest)
    }
}

// MARK: - Functions that libcurl calls, on the loop's thread

private func transfer(_ context: UnsafeMutableRawPointer?) -> Transfer? {
    context.map { Unmanaged<Transfer>.fromOpaque($0).takeUnretainedValue() }
}

private func receiveHeader(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int,
    _ context: UnsafeMutableRawPointer?
) -> Int {
    transfer(context)?.receive(
        headerLine: UnsafeRawBufferPointer(start: bytes, count: size * count))
    return size * count
}

private func receiveBody(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int,
    _ context: UnsafeMutableRawPointer?
) -> Int {
    let piece = UnsafeRawBufferPointer(start: bytes, count: size * count)
    guard let transfer = transfer(context), transfer.receive(body: piece) else {
        return Int(CURL_WRITEFUNC_PAUSE)
    }
    return size * count
}

private func willSend(
    _ context: UnsafeMutableRawPointer?, _ remote: UnsafeMutablePointer<CChar>?,
    _ local: UnsafeMutablePointer<CChar>?, _ remotePort: Int32, _ localPort: Int32
) -> Int32 {
    transfer(context)?.isAllowedToSend(localPort: localPort) == true
        ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT
}

private func progress(
    _ context: UnsafeMutableRawPointer?, _ downTotal: curl_off_t, _ down: curl_off_t,
    _ upTotal: curl_off_t, _ up: curl_off_t
) -> Int32 {
    transfer(context)?.uploaded(up)
    return 0
}

private func openSocket(
    _ context: UnsafeMutableRawPointer?, _ purpose: curlsocktype,
    _ address: UnsafeMutablePointer<curl_sockaddr>?
) -> curl_socket_t {
    guard let address else { return -1 }
    let socket = ccurl_open_socket(address)
    if socket >= 0 { SocketCount.at(context)?.didOpen(socket) }
    return socket
}

private func closeSocket(_ context: UnsafeMutableRawPointer?, _ socket: curl_socket_t) -> Int32 {
    SocketCount.at(context)?.willClose(socket)
    return close(socket)
}
