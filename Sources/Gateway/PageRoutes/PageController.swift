// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import HTTPTypes
import Hummingbird
import Service

// The page and its own interface, which may change with the page:
//
// GET  /, /assets/{file}            the page's files
// GET  /api/openapi.json            the description of the jobs' interface
// GET  /api/models                  the ModelDescription of every model, the default one first
// GET  /api/models/{id}/words       the words that one of them knows, by language
// POST /api/estimate                time and memory of a job
// GET  /api/status                  models with their workers, memory and queue
// GET  /api/benchmarks              result folders of imgbench, the newest first
// GET  /api/benchmarks/{run}/{file} a file of one of them

/// The web page.
struct PageController: Controller {
    let requests: RequestService
    let state: ServiceState
    /// Forecasts time and memory of a request, if possible.
    let forecaster: (any RequestForecasting)?
    /// Reports on the workers of each model, if models run in processes of their own.
    let reports: (any ModelReporting)?
    /// Results of load tests; `nil` if the service does not show any.
    let benchmarks: BenchmarkFolder?
    let version: String

    /// The routes in the comment above.
    func addRoutes(to table: inout RouteTable) {
        for (path, file) in PageFiles.all {
            table.add(
                "/" + path,
                [
                    .get: .public { request, context in
                        file.naming(context.address, in: path).response(to: request)
                    }
                ])
        }
        table.add(
            "/api/models",
            [.get: .key { _, _ in .json(await requests.models.map(\.withoutWords)) }])
        table.add("/api/models/**/words", [.get: .key(words)])
        table.add("/api/estimate", [.post: .key(estimate)])
        table.add("/api/status", [.get: .key(status)])
        table.add("/api/benchmarks", [.get: .key(listBenchmarks)])
        table.add("/api/benchmarks/:run/:file", [.get: .key(benchmarkFile)])
    }

    // MARK: - Words

    /// `GET /api/models/{id}/words`: the words that a model knows, by language; none if it does not list them.
    @Sendable
    private func words(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let models = await requests.models
        guard let model = models.first(where: { $0.id == context.rest }) else {
            throw APIError.noSuchModel(context.rest, known: models.map(\.id))
        }
        let file = PageFile(
            jsonBytes(model.words ?? [:]), type: "application/json; charset=utf-8")
        var response = file.response(to: request)
        response.headers[.cacheControl] = "private, no-cache"
        return response
    }

    // MARK: - Benchmarks

    private struct RunList: Encodable {
        var data: [BenchmarkFolder.Run]
    }

    /// A report is a page of its own, which must not run scripts or load anything.
    private static let reportPolicy =
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"

    @Sendable
    private func listBenchmarks(_: Request, _: GatewayContext) -> Response {
        .json(RunList(data: benchmarks?.runs ?? []))
    }

    @Sendable
    private func benchmarkFile(_: Request, _ context: GatewayContext) throws -> Response {
        let file = try context.parameters.require("file")
        guard let bytes = benchmarks?.read(file, of: try context.parameters.require("run")),
            let type = BenchmarkFolder.files[file]
        else {
            throw APIError(
                .notFound, code: "benchmark_not_found",
                "There is no such file of a benchmark; /api/benchmarks lists them.")
        }
        var response = Response.bytes(bytes, type: type)
        response.headers[.contentSecurityPolicy] = Self.reportPolicy
        return response
    }
}
