// Part of Inkstone. Licence: see LICENSE.

package import Engine

/// A generator whose requests are counted by a meter.
package struct MeteredGenerator: ImageGenerating {
    private let base: any ImageGenerating
    private let meter: EngineMeter

    /// Counts the requests of `base`.
    package init(_ base: any ImageGenerating, meter: EngineMeter) {
        self.base = base
        self.meter = meter
    }

    /// Runs a request as `ImageGenerating` says.
    package func events(for request: ImageRequest, model: String) -> JobEventStream {
        events(for: request, model: model, report: nil)
    }

    /// Runs a request and records its moments.
    package func events(
        for request: ImageRequest, model: String, report: JobReport?
    ) -> JobEventStream {
        meter.count(
            base.events(for: request, model: model), of: request, model: model, report: report)
    }
}
