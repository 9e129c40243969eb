// Part of Inkstone. Licence: see LICENSE.

/// How a level decides when to send.
package struct LoadModel: Codable, Sendable, Equatable {
    package enum Kind: String, Codable, Sendable {
        /// A number of users, each sends again when its answer came.
        case closed
        /// Planned arrivals, whatever the server does.
        case open
        /// One request after the other; a closed loop of one user.
        case single
        /// So many requests at once, then wait for all.
        case offline
        /// Arrivals read from a plan.
        case trace
        /// No load: requests that only the audit uses. Not in tables.
        case probes
    }

    package enum Arrivals: String, Codable, Sendable, CaseIterable {
        case constant, poisson, gamma
    }

    package var kind: Kind
    /// `closed` only.
    package var users: Int?
    /// `open` only: how gaps are drawn.
    package var arrivals: Arrivals?
    /// `open` only: requests a second.
    package var rate: Double?
    /// Shape of `gamma` arrivals: 1 is Poisson, larger is more even.
    package var shape: Double?
    /// `offline` only: requests at once.
    package var batch: Int?
    /// Open loops: an arrival that would exceed so many in flight is dropped and counted.
    package var maximumInFlight: Int?

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
