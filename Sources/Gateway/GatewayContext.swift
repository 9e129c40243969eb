// Part of Inkstone. Licence: see LICENSE.

import Hummingbird
import Logging

/// What travels with a request through middleware and routes.
struct GatewayContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// Name of the request in the answer's `x-request-id` and on every log line.
    var requestID: String

    init(source: Source) {
        self.coreContext = .init(source: source)
        self.requestID = ""
    }
}
