// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import Fleet
    import Foundation
    import Gateway
    import Logging
    import Service

    extension ServeCommand {
        /// Serves page and API for the workers of a fleet, and draws nothing here.
        func serveFleet(_ telemetry: ServiceTelemetry, _ keys: KeyStore, _ logger: Logger)
            async throws
        {
            var settings = queueOptions.settings
            settings.age = dataOptions.keepDays * 86400
            settings.pictureBytes = Int(dataOptions.keepGB * 1e9)
            settings.seconds = dataOptions.deadline
            let store = try await queueOptions.open(as: "gateway", settings, logger)
            let name =
                ProcessInfo.processInfo.hostName
                + "-\(ProcessInfo.processInfo.processIdentifier)"
            let board = FleetBoard(store, gateway: name)
            let gateway = Gateway(
                generator: board, keys: keys, configuration: fleetConfiguration,
                telemetry: telemetry, logger: logger
            ) { meter in
                FleetQueue(store, board: board, meter: meter, gateway: name, logger: logger)
            }
            try await serve(
                gateway,
                onReady: { addresses in
                    logger.info("Supervisor address: \(addresses.api)")
                    Self.say("page  \(addresses.page)")
                    Self.say("API   \(addresses.api)/v1/images/generations")
                })
            store.close()
            Foundation.exit(EXIT_SUCCESS)
        }
    }
#endif
