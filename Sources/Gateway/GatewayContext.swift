// Part of Inkstone. Licence: see LICENSE.

import Hummingbird
import Logging
import NIOCore

/// What travels with a request through middleware and routes.
struct GatewayContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// The connection that it came on.
    let channel: any Channel
    /// What will be told about the request; set by the outermost middleware.
    var record: RequestRecord?

    /// Name of the request in the answer's `x-request-id` and on every log line.
    var requestID: String { record?.requestID ?? "" }

    init(source: Source) {
        self.coreContext = .init(source: source)
        self.channel = source.channel
    }
}
