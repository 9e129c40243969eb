// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes
import Hummingbird
import NIOCore
import Service
import Telemetry

/// Metrics for Prometheus.
struct MetricsController: Controller {
    let registry: MetricRegistry
    /// Other sources of metrics: workers, a fleet.
    let reporters: [any MetricReporting]
    /// Labels of every sample.
    let labels: [MetricFamily.Label]

    /// `GET /metrics`: Prometheus text, or OpenMetrics for clients that accept it.
    func addRoutes(to table: inout RouteTable) {
        table.add("/metrics", [.get: .public(metrics)])
    }

    @Sendable
    private func metrics(_ request: Request, _: GatewayContext) async -> Response {
        let accept = request.headers[values: .accept].joined(separator: ",")
        let format = MetricsText.Format(accept: accept)
        // The reporters come first: their answers change what the registry has.
        var others: [MetricFamily] = []
        for reporter in reporters { others += await reporter.families() }
        let text = MetricsText.render(
            (registry.families + others).map { $0.adding(labels) }, as: format)
        return Response(
            status: .ok,
            headers: [.contentType: format.contentType, .vary: "Accept"],
            body: .init(byteBuffer: ByteBuffer(string: text)))
    }
}
