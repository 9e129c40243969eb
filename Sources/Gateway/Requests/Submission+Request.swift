// Part of Inkstone. Licence: see LICENSE.

import Basics
import HTTPTypes
import Hummingbird
import Service

extension Submission {
    /// Reads what a request says about its job beside the image to generate.
    ///
    /// A `request_id` among the fields is the client's own name for the call.
    ///
    /// - Throws: `APIError` 400 that names the field or the header.
    init(
        _ request: Request, body: [UInt8], _ fields: RequestFields, _ context: GatewayContext
    ) throws(APIError) {
        self.init(requestID: context.requestID, owner: context.owner)
        if let id = try fields.string("request_id"), !id.isEmpty {
            guard id.utf8.count <= 255 else {
                throw .invalid(
                    "request_id", "request_id must have at most 255 bytes, got \(id.utf8.count).")
            }
            requestID = id
        }
        seconds = try fields.number("deadline")
        if let seconds, !(0.001...1_000_000).contains(seconds) {
            throw .invalid(
                "deadline",
                "deadline must be between 0.001 and 1000000 seconds, got \(seconds).")
        }
        if let key = request.headers[.idempotencyKey], !key.isEmpty {
            guard key.utf8.count <= 255 else {
                throw APIError(
                    .badRequest, code: "invalid_idempotency_key",
                    "Idempotency-Key must have at most 255 bytes, got \(key.utf8.count).")
            }
            idempotencyKey = key
            fingerprint = SHA256.hexadecimal(body)
        }
    }
}
