// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes

extension HTTPRequest.Method {
    /// The methods that are known here: a path refuses those it lacks with 405, others get 501.
    static let known: [HTTPRequest.Method] = [
        .get, .head, .post, .put, .patch, .delete, .options, .trace, .connect,
    ]
}

extension APIError {
    /// A method that no path has.
    static func methodNotImplemented(_ method: String) -> APIError {
        APIError(
            .notImplemented, code: "method_not_implemented",
            "The method \(method) is not implemented; use GET, HEAD, POST, DELETE or OPTIONS, in capital"
                + " letters.")
    }

    /// A known method that a path lacks.
    static func methodNotAllowed(_ method: HTTPRequest.Method, allow: String) -> APIError {
        APIError(
            .methodNotAllowed, code: "method_not_allowed",
            "\(method.rawValue) is not possible here; use \(allow).", allow: allow)
    }
}
