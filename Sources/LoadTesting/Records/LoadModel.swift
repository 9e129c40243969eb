// Part of Inkstone. Licence: see LICENSE.

/// When a level sends its requests.
public struct LoadModel: Codable, Sendable, Equatable {
    /// The kinds of load.
    public enum Kind: String, Codable, Sendable {
        /// A closed loop: each user sends the next request when the response to its last is
        /// complete.
        case closed
        /// An open loop: planned arrivals, independent of the server.
        case open
        /// One request after the other; a closed loop of one user.
        case single
        /// Batches: a number of requests at once, then wait for all of them.
        case offline
        /// Arrivals read from a plan.
        case trace
        /// Not a load: requests that only the audit uses. They are not in tables.
        case probes
    }

    /// The distribution of the gaps between arrivals.
    public enum Arrivals: String, Codable, Sendable, CaseIterable {
        case constant, poisson, gamma
    }

    /// The kind of load.
    public var kind: Kind
    /// Number of users; `closed` only.
    public var users: Int?
    /// Distribution of the gaps; `open` only.
    public var arrivals: Arrivals?
    /// Requests a second; `open` only.
    public var rate: Double?
    /// Shape of `gamma` arrivals: 1 is Poisson, larger is more regular.
    public var shape: Double?
    /// Requests at once; `offline` only.
    public var batch: Int?
    /// The rate over time; `open` with a shape only.
    public var profile: [RatePoint]?
    /// How long the level is held in seconds, instead of the scenario's hold.
    public var seconds: Double?
    /// Whether the level is part of the search for the highest rate.
    public var isSearch: Bool?
    /// Open loops: an arrival that would exceed this number in flight is dropped and counted.
    public var maximumInFlight: Int?

    package init(
        kind: Kind, users: Int? = nil, arrivals: Arrivals? = nil, rate: Double? = nil,
        shape: Double? = nil, batch: Int? = nil, maximumInFlight: Int? = nil
    ) {
        self.kind = kind
        self.users = users
        self.arrivals = arrivals
        self.rate = rate
        self.shape = shape
        self.batch = batch
        self.maximumInFlight = maximumInFlight
    }
}
