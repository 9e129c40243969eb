// Part of Inkstone. Licence: see LICENSE.

import Engine
import Hummingbird
import Service

extension Gateway {
    /// `GET /api/models`: the `ModelDescription` of every model, the default one first.
    ///
    /// The page's own interface, which may change with the page.
    func addPageAPIRoutes(to router: Router<GatewayContext>) {
        router.endpoint("/api/models", [.get: { _, _ in .json(await generator.models) }])
    }
}
