// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes

/// The errors that the readers of requests throw, without what the gateway makes of them.
struct APIError: Error, Equatable {
    var message: String

    init(
        _ status: HTTPResponse.Status, type: String = "", code: String?, parameter: String? = nil,
        _ message: String
    ) {
        self.message = message
    }

    static func invalid(_ parameter: String?, _ message: String) -> APIError {
        APIError(.badRequest, code: nil, parameter: parameter, message)
    }
}
