// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes
import Hummingbird
import NIOCore
import Service
import Telemetry

extension Gateway {
    /// `GET /metrics`: Prometheus text, or OpenMetrics for those that ask for it.
    func addMetricsRoute(to router: Router<GatewayContext>) {
        router.endpoint(
            "/metrics",
            [
                .get: { request, _ in
                    let accept = request.headers[values: .accept].joined(separator: ",")
                    let format = MetricsText.Format(accept: accept)
                    // Asked first: their answers change what the registry has.
                    var others: [MetricFamily] = []
                    for reporter in reporters { others += await reporter.families() }
                    let text = MetricsText.render(
                        (telemetry.registry.families + others).map {
                            $0.adding(configuration.metricLabels)
                        }, as: format)
                    return Response(
                        status: .ok,
                        headers: [.contentType: format.contentType, .vary: "Accept"],
                        body: .init(byteBuffer: ByteBuffer(string: text)))
                }
            ])
    }
}
