// Part of Inkstone. Licence: see LICENSE.

public import Engine
public import Foundation
public import Service
package import Telemetry

/// Where the service listens and whom it answers.
public struct GatewayConfiguration: Sendable {
    /// Address or name to bind; loopback unless told otherwise.
    public var host: String
    /// Port of the API; 0 lets the system choose.
    public var port: Int
    /// Port of the page, or `nil` for none; both ports serve everything.
    public var pagePort: Int?
    /// Whether to serve other machines although nobody has to show a key.
    public var allowRemoteWithoutKeys: Bool
    /// Names beside the loopback ones that a `Host` header may carry on a loopback listener,
    /// such as the public name of a reverse proxy that passes it on.
    public var allowedHosts: [String]
    /// Origins (`https://example.org`) whose web pages may call the API; `*` is every one.
    public var allowedOrigins: [String]
    /// Version that `/version` and picture metadata tell.
    public var version: String
    /// Bytes of the largest request body.
    public var maximumBodyBytes: Int
    /// Bytes of the largest body with a picture in it.
    public var maximumUploadBytes: Int
    /// Requests that the engine takes on at once, those in work and those that wait, so that
    /// `/readyz` can tell when no more fit; `nil` where nobody knows.
    public var capacity: Int?
    /// How models run that are launched while the service runs, but for their files.
    package var launch: ModelLaunch?
    /// Labels that all figures of `/metrics` carry, where several services are one to those who look.
    package var metricLabels: [MetricFamily.Label] = []
    /// Where the files of models are.
    public var locator = ModelLocator()
    /// Time in which a request must have come, from its first byte to its last.
    public var readTimeout = Duration.seconds(120)
    /// Silence after which an event stream sends a comment, so that proxies keep it open.
    public var keepAliveInterval: Duration
    /// How many jobs are taken on, and how long they are kept.
    public var jobs: JobService.Limits
    /// LoRA files that requests may name.
    public var loras: LoRARegistry
    /// Bytes of the largest LoRA file that is taken.
    public var maximumLoRABytes: Int
    /// Folder with result folders of `imgbench`, which the page shows; `nil` for none.
    public var benchmarks: URL?
    /// Time that requests in progress get when the service is asked to stop.
    public var shutdownGrace: Duration

    /// A service of this version on the usual ports of this machine alone.
    public init(
        version: String,
        host: String = "127.0.0.1",
        port: Int = 9997,
        pagePort: Int? = 7860,
        allowRemoteWithoutKeys: Bool = false,
        allowedHosts: [String] = [],
        allowedOrigins: [String] = [],
        maximumBodyBytes: Int = 1 << 20,
        maximumUploadBytes: Int = 64 << 20,
        capacity: Int? = nil,
        keepAliveInterval: Duration = .seconds(15),
        jobs: JobService.Limits = .init(),
        loras: LoRARegistry = LoRARegistry(),
        maximumLoRABytes: Int = 4 << 30,
        benchmarks: URL? = nil,
        shutdownGrace: Duration = .seconds(30)
    ) {
        self.version = version
        self.host = host
        self.port = port
        self.pagePort = pagePort
        self.allowRemoteWithoutKeys = allowRemoteWithoutKeys
        self.allowedHosts = allowedHosts
        self.allowedOrigins = allowedOrigins
        self.maximumBodyBytes = maximumBodyBytes
        self.maximumUploadBytes = maximumUploadBytes
        self.capacity = capacity
        self.keepAliveInterval = keepAliveInterval
        self.jobs = jobs
        self.loras = loras
        self.maximumLoRABytes = maximumLoRABytes
        self.benchmarks = benchmarks
        self.shutdownGrace = shutdownGrace
    }
}
