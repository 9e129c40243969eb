// Part of Inkstone. Licence: see LICENSE.

public import Engine
import Foundation
import Hummingbird
public import Logging
import NIOCore
public import Service
import ServiceLifecycle
import Telemetry
import UnixSignals

/// Addresses of the service.
public struct GatewayAddresses: Sendable, Equatable {
    /// Address of the API, such as `http://127.0.0.1:9997`.
    public var api: String
    /// Address of the page; that of the API when there is one listener.
    public var page: String
}

/// Serves a generator over HTTP until the process is asked to stop.
///
/// At SIGTERM or SIGINT new requests for images are refused, and `/readyz` answers 503. When those in
/// progress are answered, after `configuration.shutdownGrace` at the latest, or at a second
/// signal, the service stops: what is not answered by then receives an error of code `server_stopping`, and
/// jobs without a waiting caller continue at the next start. SIGHUP reopens the file of the access log, and
/// applies the configuration that `reload` returns.
///
/// - Parameters:
///   - generator: generates images, and lists its models; it may still be loading them.
///   - store: the jobs; those of an earlier process continue when the models are loaded.
///   - keys: if there are any, every request needs one.
///   - configuration: addresses, access and limits.
///   - telemetry: the metrics of `/metrics`, and the access log.
///   - logger: receives the start and stop of the service, and one line per request if there
///     is no access log.
///   - reload: reads the configuration again; hosts, origins, and the limits of jobs' duration and
///     storage are applied.
///   - onReady: called once, when every listener accepts connections.
/// - Throws: `GatewayError` when the service cannot start listening.
public func serve(
    _ generator: any ImageGenerating & ModelListing,
    store: JobStore,
    keys: KeyStore? = nil,
    configuration: GatewayConfiguration,
    telemetry: ServiceTelemetry,
    logger: Logger,
    reload: (@Sendable () throws -> GatewayConfiguration)? = nil,
    onReady: @escaping @Sendable (GatewayAddresses) async -> Void = { _ in }
) async throws {
    let gateway = Gateway(
        generator: generator, store: store, keys: keys, configuration: configuration,
        telemetry: telemetry,
        logger: logger)
    try await serve(gateway, reload: reload, onReady: onReady)
}

/// Serves an existing gateway as the function above does.
package func serve(
    _ gateway: Gateway, reload: (@Sendable () throws -> GatewayConfiguration)? = nil,
    onReady: @escaping @Sendable (GatewayAddresses) async -> Void = { _ in }
) async throws {
    let (configuration, telemetry, logger) =
        (gateway.configuration, gateway.telemetry, gateway.logger)
    try checkReach(of: configuration, requiresKeys: gateway.keys?.isRequired == true)
    if let keys = gateway.keys, keys.isRequired, keys.failure == nil, keys.isEmpty {
        logger.warning(
            "requests need a key, and there is none: 'inkstone keys add NAME' makes one",
            metadata: ["to serve without keys": "remove \(keys.files.joined(separator: ", "))"])
    }
    await gateway.startHousekeeping()
    let resuming = Task { await resume(gateway.jobs, logger) }
    defer { resuming.cancel() }
    Task { await gateway.readLoRAs() }
    let ports = [configuration.port] + (configuration.pagePort.map { [$0] } ?? [])
    let board = ListenerBoard(host: configuration.host, expected: ports.count, onReady: onReady)
    let listeners = ports.enumerated().map { index, port in
        Listener(gateway: gateway, port: port) { await board.opened(index, port: $0) }
    }
    let service = ServiceGroup(
        configuration: .init(services: [Listeners(all: listeners)], logger: logger))
    // A signal without a handler would end the program.
    let signals = await UnixSignalsSequence(
        trapping: [.sigterm, .sigint]
            + (telemetry.accessLog?.isFile == true || reload != nil ? [.sighup] : []))
    try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask { try await service.run() }
        tasks.addTask {
            await attend(to: signals, of: gateway, reload)
            try Task.checkCancellation()
            await gateway.stop()
            await service.triggerGracefulShutdown()
            // The grace period of connections that are still busy is over.
            try await Task.sleep(for: .seconds(1))
        }
        // Either the listeners ended, or they did not end in time.
        try await tasks.next()
        tasks.cancelAll()
    }
    logger.info("stopped")
}

/// Resumes the jobs of an earlier process.
private func resume(_ jobs: any JobQueue, _ logger: Logger) async {
    do {
        try await jobs.resume()
    } catch is CancellationError {
    } catch {
        logger.error("earlier jobs are not resumed", metadata: ["error": "\(error)"])
    }
}

/// Returns when it is time to stop.
private func attend(
    to signals: UnixSignalsSequence, of gateway: Gateway,
    _ reload: (@Sendable () throws -> GatewayConfiguration)?
) async {
    let grace = gateway.configuration.shutdownGrace
    let (stopping, beginStopping) = AsyncStream<Void>.makeStream()
    await withTaskGroup(of: Void.self) { tasks in
        tasks.addTask {
            for await signal in signals {
                if signal == .sighup {
                    reopenAccessLog(of: gateway)
                    if let reload { await apply(reload, to: gateway) }
                } else if gateway.state.isDraining {
                    return
                } else {
                    gateway.logger.info("stopping, requests in progress are answered first")
                    gateway.beginDraining()
                    beginStopping.yield()
                }
            }
        }
        tasks.addTask {
            for await _ in stopping { break }
            await gateway.log.metrics.waitUntilIdle(atMost: grace)
        }
        // A second signal, or nothing left to wait for.
        await tasks.next()
        tasks.cancelAll()
    }
}

private func apply(
    _ reload: @Sendable () throws -> GatewayConfiguration, to gateway: Gateway
) async {
    do {
        await gateway.apply(try reload())
        gateway.logger.info("configuration read again")
    } catch {
        gateway.logger.error(
            "configuration kept as it was", metadata: ["error": .string("\(error)")])
    }
}

private func reopenAccessLog(of gateway: Gateway) {
    guard let log = gateway.telemetry.accessLog, log.isFile else { return }
    do {
        try log.reopen()
        gateway.logger.info("access log reopened")
    } catch {
        gateway.logger.error("access log not reopened", metadata: ["error": .string("\(error)")])
    }
}

/// Checks that the service is reachable by other machines only with keys, or if the configuration allows it.
///
/// - Throws: `GatewayError.remoteWithoutKeys`.
private func checkReach(
    of configuration: GatewayConfiguration, requiresKeys: Bool
) throws(GatewayError) {
    guard !configuration.allowRemoteWithoutKeys, !requiresKeys else { return }
    guard let host = HostName(configuration.host), host.isLoopback else {
        throw GatewayError(
            .remoteWithoutKeys,
            "Listening on '\(configuration.host)' would let every machine that reaches it make"
                + " pictures here without a key; listen on 127.0.0.1, make a key with"
                + " 'inkstone keys add NAME', or allow this with --allow-remote-without-keys.")
    }
}

/// All ports as one service: a group ends its services one after the other, and the second port
/// would continue to accept work while the first one drains.
private struct Listeners: Service {
    let all: [Listener]

    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for listener in all {
                group.addTask { try await listener.run() }
            }
            // A listener that fails ends the others: leaving the group with an error cancels them.
            for try await _ in group {}
        }
    }
}

/// One port.
private struct Listener {
    let gateway: Gateway
    let port: Int
    let opened: @Sendable (Int) async -> Void

    private var unknownHost: GatewayError {
        GatewayError(
            .cannotListen,
            "Cannot listen on '\(gateway.configuration.host)': the name has no address; use"
                + " 127.0.0.1.")
    }

    func run() async throws {
        let host = gateway.configuration.host
        do {
            try await gateway.makeApplication(port: port, opened: opened).run()
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            throw GatewayError(
                .addressInUse,
                "Port \(port) on \(host) is taken by another program; stop it or choose another"
                    + " port.")
        } catch let error as IOError {
            throw GatewayError(
                .cannotListen,
                "Cannot listen on port \(port) of \(host): \(error.reasonOfSystem); choose another"
                    + " address or port.")
        } catch is SocketAddressError {
            throw unknownHost
        } catch is SocketAddressError.UnknownHost {
            throw unknownHost
        }
    }
}

extension IOError {
    /// The system's description of the error.
    fileprivate var reasonOfSystem: String {
        String(cString: strerror(errnoCode))
    }
}

/// Waits until every listener is open.
private actor ListenerBoard {
    private let host: String
    private let expected: Int
    private let onReady: @Sendable (GatewayAddresses) async -> Void
    private var ports: [Int: Int] = [:]

    init(
        host: String, expected: Int,
        onReady: @escaping @Sendable (GatewayAddresses) async -> Void
    ) {
        self.host = host
        self.expected = expected
        self.onReady = onReady
    }

    func opened(_ index: Int, port: Int) async {
        ports[index] = port
        guard ports.count == expected, let api = ports[0] else { return }
        let name = host.contains(":") ? "[\(host)]" : host
        await onReady(
            GatewayAddresses(
                api: "http://\(name):\(api)", page: "http://\(name):\(ports[1] ?? api)"))
    }
}
