// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Telemetry

/// Assigns an id to every request, ensures that it is recorded when it ends, however it ends, and sets the
/// headers that every answer has.
struct TelemetryMiddleware: RouterMiddleware {
    typealias Context = GatewayContext

    let log: HTTPRequestLog
    let connections: ConnectionRegistry

    func handle(
        _ request: Request, context: GatewayContext,
        next: (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        let connection = connections[context.channel]
        let record = HTTPRequestRecord(
            request, remoteAddress: context.channel.remoteAddress?.ipAddress,
            start: connection?.consumeFirstByte() ?? .now, log: log)
        connection?.begin(record)
        context.record = record
        context.connection = connection
        var request = request
        if let connection, request.headers[.expect]?.lowercased() == "100-continue" {
            request.body = RequestBody(
                asyncSequence: ContinuedBody(body: request.body, connection: connection))
        }
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
            // If the body is never written because the client is gone, the connection finishes the record, or at
            // the latest the release of this closure.
            do {
                try await body.write(CountingWriter(inner: writer, record: record))
            } catch {
                record.finish(clientDisconnected: true)
                throw error
            }
            if !endsWithConnection { record.finish() }
        }
        return response
    }
}

/// Forwards a body and counts its bytes.
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
