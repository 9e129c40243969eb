// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import Catalog
    import Engine
    import Fleet
    import Foundation
    import Gateway
    import Logging
    import Service
    import Telemetry

    extension ServeCommand {
        /// Serves page and API for the workers of a fleet; what models this machine runs are among them.
        func serveFleet(_ telemetry: ServiceTelemetry, _ keys: KeyStore, _ logger: Logger)
            async throws
        {
            let launches = try models.map { try launch($0) }
            var settings = queueOptions.settings
            settings.age = dataOptions.keepDays * 86400
            settings.imageBytes = Int(dataOptions.keepGB * 1e9)
            settings.seconds = dataOptions.deadline
            let store = try await queueOptions.open(as: "gateway", settings, logger)
            let signer = try await store.linkSigner()
            let name =
                ProcessInfo.processInfo.hostName
                + "-\(ProcessInfo.processInfo.processIdentifier)"
            let presence = WorkerPresence(store, gateway: name)
            let pool = try WorkerPool(
                settings: workers.settings(
                    models: max(1, launches.count), workers: workersPerModel),
                metrics: telemetry.engine, logger: logger)
            let group = WorkerGroup(
                pool, store: store, loraFolder: dataOptions.loraFolder,
                controlNets: { [folder = dataOptions.controlNetFolder] model in
                    ControlNetRegistry(
                        folder: folder, models: [model], roots: ModelLocator().roots)
                },
                jobs: settings.running, logger: logger)
            let meter = EngineMeter(telemetry.engine)
            let gateway = Gateway(
                jobs: FleetQueue(
                    store, presence: presence, meter: meter, gateway: name, logger: logger),
                meter: meter, pool: pool, reports: presence, reporters: [presence, pool],
                keys: keys,
                configuration: try configuration(presence, signer, gateway: name),
                telemetry: telemetry,
                logger: logger)
            await group.start()
            // A model that cannot be loaded is logged; the gateway serves the workers of the others.
            let loading = Task { [logger] in
                for launch in launches {
                    do { try await load(launch, by: pool) } catch {
                        logger.error("a model is not there", metadata: ["error": "\(error)"])
                    }
                }
            }
            do {
                try await serve(
                    gateway, reload: reload(logger),
                    onReady: { addresses in
                        logger.info("Supervisor address: \(addresses.api)")
                        Self.announce(addresses)
                    })
            } catch {
                await pool.shutdown(grace: .zero)
                throw error
            }
            loading.cancel()
            await group.end()
            await pool.shutdown()
            store.close()
            Foundation.exit(EXIT_SUCCESS)
        }

        private func configuration(
            _ presence: WorkerPresence, _ signer: LinkSigner, gateway: String
        ) throws -> GatewayConfiguration {
            var configuration = try gatewayConfiguration()
            configuration.linkSigner = signer
            // The queue has a limit of its own.
            configuration.capacity = nil
            configuration.metricLabels = [.init("gateway", gateway)]
            configuration.loras.elsewhere = { presence.offers }
            configuration.controlNets.elsewhere = { presence.controlNets }
            return configuration
        }
    }
#endif
