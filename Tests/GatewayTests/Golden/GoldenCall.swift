// Part of Inkstone. Licence: see LICENSE.

import Foundation
import HTTPTypes
import NIOCore

/// A request whose answer is recorded.
struct GoldenCall: Sendable {
    var name: String
    var method: String
    /// Path and query; `{NAME}` is the text that an earlier call captured.
    var path: String
    var headers: [(name: String, value: String)] = []
    var body: [UInt8] = []
    /// Captures the first group of a pattern in the answer's body under a name.
    var capture: (name: String, pattern: String)?
    /// Keys of the body, and headers, that are not recorded: here they depend on timing.
    var dropped: Set<String> = []
    /// What is recorded of the body.
    var content = Content.whole

    enum Content: Sendable {
        case whole, metricNames, none
    }

    /// A request without a body.
    init(_ name: String, _ method: String, _ path: String) {
        self.name = name
        self.method = method
        self.path = path
    }

    /// A request with a JSON body.
    init(_ name: String, _ method: String, _ path: String, json: String) {
        self.init(name, method, path)
        headers.append(("content-type", "application/json"))
        body = Array(json.utf8)
    }

    /// A request with a form, as `EditRouteTests.form` writes it.
    init(
        _ name: String, _ path: String, form: [(name: String, file: String?, bytes: [UInt8])]
    ) {
        self.init(name, "POST", path)
        headers.append(("content-type", "multipart/form-data; boundary=B"))
        body = EditRouteTests.form(form)
    }

    /// The same call with another header.
    func header(_ name: String, _ value: String) -> GoldenCall {
        var call = self
        call.headers.append((name, value))
        return call
    }

    /// The same call, whose answer has a text that later paths need.
    func capturing(_ name: String, _ pattern: String) -> GoldenCall {
        var call = self
        call.capture = (name, pattern)
        return call
    }

    /// The same call, of whose answer these keys and headers are not recorded.
    func dropping(_ keys: String...) -> GoldenCall {
        var call = self
        call.dropped.formUnion(keys)
        return call
    }

    /// The same call, of whose body less is recorded.
    func recording(_ content: Content) -> GoldenCall {
        var call = self
        call.content = content
        return call
    }
}

/// What a service answered.
struct GoldenAnswer: Sendable {
    var status: Int
    /// Names in lower case.
    var headers: [(name: String, value: String)]
    var body: [UInt8]
}

/// Sends a call; the only place of these tests that knows the client.
func send(
    _ call: GoldenCall, to path: String, with client: TestClient
) async throws -> GoldenAnswer {
    var headers = HTTPFields()
    for (name, value) in call.headers { headers[try .named(name)] = value }
    let method = HTTPRequest.Method(call.method) ?? .get
    let response = try await client.execute(
        uri: path, method: method, headers: headers,
        body: call.body.isEmpty ? nil : ByteBuffer(bytes: call.body))
    return GoldenAnswer(
        status: response.status.code,
        headers: response.headers.map { ($0.name.canonicalName, $0.value) },
        body: Array(response.body.readableBytesView))
}
