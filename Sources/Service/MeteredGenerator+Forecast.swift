// Part of Inkstone. Licence: see LICENSE.

package import Engine
import ZImage

extension MeteredGenerator: RequestForecasting {
    /// What the generator behind knows of a request beforehand, if it knows anything.
    package func forecast(
        of request: ImageRequest, model: String
    ) async throws -> RequestForecast? {
        guard let base = base as? any RequestForecasting else { return nil }
        return try await base.forecast(of: request, model: model)
    }

    /// Bytes that the machine can give without swapping, or `nil` where it does not say.
    package var availableBytes: Int? { MemoryPlan.availableBytes }
}

extension MeteredGenerator: ModelReporting {
    /// How the workers behind are; nothing where the models run in this process.
    package func report() async -> [ModelReport] {
        guard let base = base as? any ModelReporting else { return [] }
        return await base.report()
    }
}
