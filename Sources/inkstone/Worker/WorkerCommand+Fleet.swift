// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import Dispatch
    import Engine
    import Fleet
    import Foundation
    import Logging
    import ModelFiles
    import Service
    import Tensors
    import ZImage

    extension WorkerCommand {
        /// Takes jobs from the fleet's queue until SIGTERM or SIGINT; a second one ends at once.
        func runForFleet() async throws {
            var logger = Logger(label: "inkstone.worker")
            logger.logLevel = .info
            let settings = queueOptions.settings
            let folder = try ModelOptions.open(model)
            let device = try options.makeBackend(for: folder)
            // Before the weights, which may take minutes.
            let store = try await queueOptions.open(as: "worker", settings, logger)
            let server = WorkerServer()
            let engine = try makeEngine(folder, device, for: server)
            server.finishLoading(
                engine,
                secondsPerPixel: try PeakThroughput.expectedSecondsPerPixel(
                    of: folder, on: device))
            let worker = FleetWorker(
                engine: FleetEngine(engine, capacity: settings.running) { server.currentStatus },
                store: store, logger: logger)
            FileHandle.standardOutput.write(
                Data("inkstone: worker \(worker.name) serves model \(engine.description.id)\n".utf8)
            )
            let signals = Self.onSignal { [logger] in
                logger.info("ends after the jobs that it has")
                worker.drain()
            }
            try await worker.run(grace: .seconds(grace))
            store.close()
            withExtendedLifetime(signals) {}
            Foundation.exit(EXIT_SUCCESS)
        }

        private static func onSignal(
            _ act: @escaping @Sendable () -> Void
        ) -> [any DispatchSourceSignal] {
            [SIGTERM, SIGINT].map { number in
                signal(number, SIG_IGN)
                let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
                source.setEventHandler {
                    act()
                    // A second one is taken by the system.
                    signal(number, SIG_DFL)
                }
                source.activate()
                return source
            }
        }
    }
#endif
