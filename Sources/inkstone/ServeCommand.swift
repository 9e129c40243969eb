// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Engine
import Foundation
import Gateway
import Logging
import Tensors
import ZImage

/// `inkstone serve`: page and API.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Serve the page and the API.")

    @Option(help: "Name of a model, or its folder.")
    var model = ModelLocator.embeddedModel

    @Option(help: "LoRA file merged at start, with :SCALE behind it if not 1.")
    var lora: [String] = []

    @Option(help: "Address to listen on.")
    var host = "127.0.0.1"

    @Option(help: "Port of the API.")
    var port = 9997

    @Option(help: "Port of the page.")
    var pagePort = 7860

    @Flag(help: "Serve other machines although nobody has to show a key.")
    var allowRemoteWithoutKeys = false

    @Option(help: "Name that requests may carry in their Host header, beside localhost.")
    var allowedHost: [String] = []

    @Option(help: "Web origin whose pages may call the API.")
    var allowedOrigin: [String] = []

    @OptionGroup var options: ModelOptions

    mutating func validate() throws {
        for (name, value) in [("--port", port), ("--page-port", pagePort)] {
            guard (0...65535).contains(value) else {
                throw ValidationError("\(name) must be between 0 and 65535, got \(value).")
            }
        }
    }

    func run() async throws {
        let loras = try lora.map(LoRAOption.parse)
        let engine = DeferredEngine()
        var logger = Logger(label: "inkstone")
        logger.logLevel = .info
        let configuration = GatewayConfiguration(
            version: version, host: host, port: port, pagePort: pagePort,
            allowRemoteWithoutKeys: allowRemoteWithoutKeys, allowedHosts: allowedHost,
            allowedOrigins: allowedOrigin)
        let (options, model) = (options, model)
        try await withThrowingTaskGroup(of: Void.self) { [logger] group in
            group.addTask {
                try await serve(engine, configuration: configuration, logger: logger) {
                    addresses in
                    Self.say("page  \(addresses.page)")
                    Self.say("API   \(addresses.api)/v1/images/generations")
                }
                // The service ended by itself: it was asked to stop.
                throw CancellationError()
            }
            group.addTask {
                let start = ContinuousClock.now
                let pipeline = try options.load(model, loras: loras)
                let loaded = InferenceEngine(pipeline: pipeline)
                engine.finishLoading(loaded)
                let seconds = (ContinuousClock.now - start).inSeconds
                Self.say(
                    "model \(loaded.description.id) in \(loaded.description.precision) on"
                        + " \(loaded.description.kernels), loaded in"
                        + " \(ProgressLine.text(seconds))")
            }
            do {
                try await group.waitForAll()
            } catch is CancellationError {
                group.cancelAll()
            }
        }
    }

    private static func say(_ text: String) {
        FileHandle.standardOutput.write(Data("inkstone: \(text)\n".utf8))
    }
}
