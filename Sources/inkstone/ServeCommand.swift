// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Engine
import Foundation
import Gateway
import Logging
import ModelFiles
import Service
import Telemetry
import Tensors
import ZImage

/// `inkstone serve`: page and API.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Serve the page and the API.")

    @Option(help: ArgumentHelp("Name of a model, or its folder.", valueName: "name|folder"))
    var model = ModelLocator.embeddedModel

    @Option(
        help: ArgumentHelp(
            "LoRA file merged at start, with :SCALE behind it if not 1. May be given several times.",
            valueName: "file[:scale]"))
    var lora: [String] = []

    @Option(help: ArgumentHelp("Address to listen on.", valueName: "address"))
    var host = "127.0.0.1"

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Port of the API; 0 lets the system choose.", valueName: "port"))
    var port = 9997

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Port of the page; 0 lets the system choose.", valueName: "port"))
    var pagePort = 7860

    @Flag(help: "Serve other machines although nobody has to show a key.")
    var allowRemoteWithoutKeys = false

    @Option(
        help: ArgumentHelp(
            "Name that requests may carry in their Host header, beside localhost.",
            valueName: "name"))
    var allowedHost: [String] = []

    @Option(help: ArgumentHelp("Web origin whose pages may call the API.", valueName: "origin"))
    var allowedOrigin: [String] = []

    @OptionGroup var scheduling: SchedulerOptions
    @Option(
        help: ArgumentHelp(
            "File that gets a line for every request; - is standard output. SIGHUP opens it anew.",
            valueName: "file"))
    var accessLog: String?

    @Option(help: "Lines of the access log: as nginx writes combined, or JSON.")
    var accessLogFormat = AccessLog.Format.combined

    @Option(help: "Lines of the program's own log, on standard error.")
    var logFormat = LogFormat.text

    @OptionGroup var options: ModelOptions
    @OptionGroup var caches: CacheOptions

    mutating func validate() throws {
        try checkPorts(port, pagePort)
        _ = try lora.map(LoRAOption.parse)
    }

    func run() async throws {
        // A mistyped name ends the program before anybody is told that it serves.
        let folder = try ModelOptions.open(model)
        let device = try options.makeBackend(for: folder)
        let loras = try lora.map(LoRAOption.parse)
        for lora in loras { _ = try SafetensorsFile(url: lora.url) }

        let telemetry = ServiceTelemetry(
            version: version,
            accessLog: try accessLog.map { try AccessLog(path: $0, format: accessLogFormat) })
        let (promptCache, weightCache) = (caches.promptCache, caches.weightCache)
        let limits = scheduling.limits
        let engine = DeferredEngine()
        var logger = logFormat.logger
        logger.logLevel = .info
        let configuration = GatewayConfiguration(
            version: version, host: host, port: port, pagePort: pagePort,
            allowRemoteWithoutKeys: allowRemoteWithoutKeys, allowedHosts: allowedHost,
            allowedOrigins: allowedOrigin, capacity: limits.running + limits.waiting)
        await withThrowingTaskGroup(of: Part.self) { [logger] group in
            group.addTask {
                try await serve(
                    engine, configuration: configuration, telemetry: telemetry, logger: logger
                ) { addresses in
                    Self.say("page  \(addresses.page)")
                    Self.say("API   \(addresses.api)/v1/images/generations")
                }
                return .service
            }
            group.addTask {
                let start = ContinuousClock.now
                let pipeline = try Pipeline(
                    model: folder, device: device, loras: loras, promptCache: promptCache,
                    weightCache: weightCache)
                let id = folder.manifest.id
                let loaded = InferenceEngine(pipeline: pipeline, limits: limits) {
                    telemetry.engine.count($0, model: id)
                }
                let seconds = (ContinuousClock.now - start).inSeconds
                telemetry.engine.modelLoaded(
                    loaded.description, seconds: seconds, loras: loras.count)
                telemetry.watch(loaded)
                engine.finishLoading(loaded)
                Self.say(
                    "model \(loaded.description.id) in \(loaded.description.precision) on"
                        + " \(loaded.description.kernels), loaded in"
                        + " \(ProgressLine.text(seconds))")
                return .loading
            }
            do {
                // The service ends when it is asked to stop; loading cannot be stopped half-way.
                while let part = try await group.next(), part == .loading {}
            } catch {
                // A group waits for all its tasks, and the service would go on without a model.
                finish(error)
            }
            Foundation.exit(EXIT_SUCCESS)
        }
    }

    /// What goes on side by side.
    private enum Part { case service, loading }

    private static func say(_ text: String) {
        FileHandle.standardOutput.write(Data("inkstone: \(text)\n".utf8))
    }
}
