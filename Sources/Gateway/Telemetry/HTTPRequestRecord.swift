// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import Parameters
import Service
import Synchronization
import Telemetry

/// The record of one request, written once when its last byte was sent or its client disconnected.
final class HTTPRequestRecord: Sendable {
    private struct State {
        var status = 0
        var bytes = 0
        var code: String?
        var route = "none"
        var generation: AccessLogEntry.Generation?
        var job: JobReport?
        var isFinished = false
    }

    let requestID: String
    let trace: TraceContext?
    private let method: String
    private let path: String
    private let remoteAddress: String?
    private let referer: String?
    private let userAgent: String?
    private let start: ContinuousClock.Instant
    private let log: HTTPRequestLog
    private let state = Mutex(State())

    /// - Parameters:
    ///   - request: the request.
    ///   - remoteAddress: the client's address.
    ///   - start: when its first byte was read.
    ///   - log: the destination of the record.
    init(
        _ request: Request, remoteAddress: String?, start: ContinuousClock.Instant,
        log: HTTPRequestLog
    ) {
        requestID = request.headers[.xRequestID].flatMap(RequestID.accepted) ?? RequestID.make()
        trace = TraceContext(
            traceparent: request.headers[.traceparent],
            tracestate: request.headers[.tracestate])
        method = request.method.rawValue
        path = request.uri.path
        self.remoteAddress = remoteAddress
        referer = request.headers[.referer].map(Self.withoutQuery)
        userAgent = request.headers[.userAgent]
        self.start = start
        self.log = log
        log.metrics.begin(path: path)
    }

    /// The record of a request that no route gets.
    ///
    /// - Parameters:
    ///   - method: its method, or `-`.
    ///   - path: its path without the query, or `-`.
    ///   - remoteAddress: the client's address.
    ///   - start: when its first byte was read.
    ///   - log: the destination of the record.
    init(
        method: String, path: String, remoteAddress: String?, start: ContinuousClock.Instant,
        log: HTTPRequestLog
    ) {
        requestID = RequestID.make()
        trace = nil
        self.method = method
        self.path = path
        self.remoteAddress = remoteAddress
        referer = nil
        userAgent = nil
        self.start = start
        self.log = log
        log.metrics.begin(path: path)
    }

    deinit { finish(clientDisconnected: true) }

    /// Removes the query of an address: it may contain what a user typed.
    private static func withoutQuery(_ address: String) -> String {
        String(address.prefix { $0 != "?" && $0 != "#" })
    }

    /// Records the answer's status and its route.
    func setStatus(_ status: Int, route: String?) {
        state.withLock { state in
            state.status = status
            state.route = route.flatMap { $0 == "NotFound" ? nil : $0 } ?? "none"
        }
    }

    /// Adds sent bytes of the body.
    func add(bytes: Int) {
        state.withLock { $0.bytes += bytes }
    }

    /// Records the code of an error.
    func setCode(_ code: String?) {
        state.withLock { $0.code = code ?? "error" }
    }

    /// Records the images that are requested.
    ///
    /// - Returns: a report to be filled with the times of the job.
    func begin(_ generation: AccessLogEntry.Generation) -> JobReport {
        let report = JobReport()
        state.withLock { state in
            state.generation = generation
            state.job = report
        }
        return report
    }

    /// Counts the request and writes its lines, once.
    ///
    /// - Parameter clientDisconnected: whether the answer could not be delivered.
    func finish(clientDisconnected: Bool = false) {
        let now = ContinuousClock.now
        let unfinished = state.withLock { state -> State? in
            defer { state.isFinished = true }
            return state.isFinished ? nil : state
        }
        guard var end = unfinished else { return }
        if clientDisconnected {
            // As in nginx: 499 when the client disconnected before the status was sent.
            if end.status == 0 { end.status = 499 }
            end.code = APIError.cancelled.code
        }
        if var generation = end.generation, let moments = end.job?.moments {
            // A client may disconnect before the engine is done.
            let last = moments.ended ?? now
            generation.engineSeconds = moments.submitted.map { (last - $0) / .seconds(1) }
            generation.queueSeconds = moments.submitted.map {
                ((moments.started ?? last) - $0) / .seconds(1)
            }
            generation.runSeconds = moments.started.map { (last - $0) / .seconds(1) }
            end.generation = generation
        }
        let entry = AccessLogEntry(
            time: Date().timeIntervalSince1970, remoteAddress: remoteAddress, method: method,
            path: path, status: end.status, bytes: end.bytes, referer: referer,
            userAgent: userAgent, requestSeconds: (now - start) / .seconds(1),
            requestID: requestID, code: end.code ?? "ok", traceID: trace?.traceID,
            generation: end.generation)
        log.write(entry, route: end.route)
    }
}

/// The destinations of request records: metrics, access log, and the program's own log.
struct HTTPRequestLog: Sendable {
    let metrics: HTTPMetrics
    let accessLog: AccessLog?
    let logger: Logger

    func write(_ entry: AccessLogEntry, route: String) {
        accessLog?.write(entry)
        var metadata: Logger.Metadata = [
            "request.id": .string(entry.requestID),
            "http.method": .string(entry.method),
            "http.path": .string(entry.path),
            "http.status": .stringConvertible(entry.status),
            "http.bytes": .stringConvertible(entry.bytes),
            "http.code": .string(entry.code),
            "request.seconds": .stringConvertible((entry.requestSeconds * 1000).rounded() / 1000),
        ]
        if let trace = entry.traceID { metadata["trace.id"] = .string(trace) }
        // With an access log, one line per request is enough.
        logger.log(level: accessLog == nil ? .info : .debug, "request", metadata: metadata)
        // Counted last: a reader that sees the count finds the line.
        metrics.end(
            path: entry.path, route: route, method: entry.method, status: entry.status,
            code: entry.code, model: entry.generation?.model ?? "", seconds: entry.requestSeconds)
    }
}
