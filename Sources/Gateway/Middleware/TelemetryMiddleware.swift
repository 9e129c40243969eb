// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Telemetry

/// Names every request, sees to it that it is told when it ends, however it ends, and sets the
/// headers that every answer has.
struct TelemetryMiddleware: RouterMiddleware {
    typealias Context = GatewayContext

    let log: HTTPRequestLog
    let connections: ConnectionBoard

    func handle(
        _ request: Request, context: GatewayContext,
        next: (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        let connection = connections[context.channel]
        let record = HTTPRequestRecord(
            request, remoteAddress: context.channel.remoteAddress?.ipAddress,
            start: connection?.takeFirstByte() ?? .now, log: log)
        connection?.begin(record)
        context.record = record
        context.logger[metadataKey: "request.id"] = .string(record.requestID)
        if let trace = record.trace {
            context.logger[metadataKey: "trace.id"] = .string(trace.traceID)
            context.logger[metadataKey: "span.id"] = .string(trace.spanID)
            context.logger[metadataKey: "parent.id"] = trace.parentID.map { .string($0) }
        }
        var response: Response
        do {
            response = try await next(request, context)
        } catch {
            context.logger.error("request failed", metadata: ["error": .string("\(error)")])
            let answer = APIError.unexpected(requestID: record.requestID)
            record.setCode(answer.code)
            response = answer.response()
        }
        response.headers[.xRequestID] = record.requestID
        response.headers[.traceparent] = record.trace?.traceparent
        response.headers[.xContentTypeOptions] = "nosniff"
        if response.headers[.cacheControl] == nil {
            response.headers[.cacheControl] = "no-store"
        }
        record.setStatus(response.status.code, route: context.endpointPath)
        let body = response.body
        let endsWithConnection = connection != nil
        response.body = ResponseBody(contentLength: body.contentLength) { writer in
            // Should the body never be written because the client is gone, the connection ends
            // the record, or at the latest this closure when it is let go.
            do {
                try await body.write(CountingWriter(inner: writer, record: record))
            } catch {
                record.finish(clientLeft: true)
                throw error
            }
            if !endsWithConnection { record.finish() }
        }
        return response
    }
}

/// Passes a body on and counts it.
private struct CountingWriter: ResponseBodyWriter {
    var inner: any ResponseBodyWriter
    let record: HTTPRequestRecord

    mutating func write(_ buffer: ByteBuffer) async throws {
        try await inner.write(buffer)
        record.add(bytes: buffer.readableBytes)
    }

    consuming func finish(_ trailingHeaders: HTTPFields?) async throws {
        try await inner.finish(trailingHeaders)
    }
}
