// Part of Inkstone. Licence: see LICENSE.

public import Catalog
public import Foundation
public import Service
package import Telemetry

/// Addresses, access and limits of the service.
public struct GatewayConfiguration: Sendable {
    /// Address or name to bind; loopback by default.
    public var host: String
    /// Port of the API; with 0 the system chooses one.
    public var port: Int
    /// Port of the page, or `nil` for none; both ports serve everything.
    public var pagePort: Int?
    /// Whether to serve other machines although no key is required.
    public var allowRemoteWithoutKeys: Bool
    /// Names that a `Host` header may carry beside addresses and the names of this machine, such as the public
    /// name of a reverse proxy that passes it on; `*` allows every name.
    ///
    /// Without names here, every name is allowed where a key is required.
    public var allowedHosts: [String]
    /// Origins (`https://example.org`) whose web pages may call every route; `*` allows every origin.
    public var allowedOrigins: [String]
    /// The address that links in answers begin with; `nil` for the one under which each request came.
    public var publicAddress: ServiceAddress?
    /// Proxies whose headers about the client's request are believed.
    public var trustedProxies = TrustedProxies.standard
    /// Version in `/version` and in image metadata.
    public var version: String
    /// Bytes of the largest request body.
    public var maximumBodyBytes: Int
    /// Bytes of the largest body that contains an image.
    public var maximumUploadBytes: Int
    /// Requests that may run and wait together, so that `/readyz` can report a full queue; `nil` if
    /// unknown.
    public var capacity: Int?
    /// Settings of models that are launched while the service runs, except for their files.
    package var launch: ModelLaunch?
    /// Labels of all samples of `/metrics`, to distinguish the services of one fleet.
    package var metricLabels: [MetricFamily.Label] = []
    /// Finds the files of models.
    public var locator = ModelLocator()
    /// Folders of models that the operator named, beside those of `locator`.
    public var modelFolders: [URL] = []
    /// Time within which a request must be received, from its first byte to its last.
    public var readTimeout = Duration.seconds(120)
    /// The longest pause before a request, and within one.
    public var idleTimeout = Duration.seconds(75)
    /// Silence after which an event stream sends a comment, so that proxies keep it open.
    public var keepAliveInterval: Duration
    /// Limits of the number, duration and storage of jobs.
    public var jobs: JobService.Limits
    /// LoRA files that requests may name.
    public var loras: LoRARegistry
    /// ControlNets that requests may name.
    public var controlNets = ControlNetRegistry()
    /// Whether image files hold the generation parameters, unless a request says otherwise.
    public var embedsParameters = true
    /// Bytes of the largest LoRA file that can be added.
    public var maximumLoRABytes: Int
    /// Folder with result folders of `imgbench`, which the page shows; `nil` for none.
    public var benchmarks: URL?
    /// Signs the addresses of images for clients with keys.
    public var linkSigner = LinkSigner.temporary
    /// Seconds for which such an address opens.
    public var linkSeconds = 86400
    /// Time for requests in progress to end when the service is asked to stop.
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
