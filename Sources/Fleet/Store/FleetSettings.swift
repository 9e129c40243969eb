// Part of Inkstone. Licence: see LICENSE.

/// Limits, times and replication of a fleet.
package struct FleetSettings: Sendable {
    /// Seconds without a heartbeat after which a job goes to another worker.
    package var window = 15.0
    /// How often work on a job may begin before it is given up.
    package var attempts = 4
    /// Jobs of the whole fleet that are not final; more are refused as busy.
    package var unfinished = 1000
    /// Jobs that a worker has at once.
    package var running = 4
    /// Seconds that jobs and images are kept.
    package var age = 7.0 * 86400
    /// Bytes of images that are kept; the oldest are removed first.
    package var imageBytes = 4 << 30
    /// Seconds after which a job is cancelled that is not final; a client may ask for less.
    package var seconds: Double?
    /// Seconds between two heartbeats of a worker; after `presenceAge` without one it counts as gone.
    package var presence = 2.0
    /// Seconds that a heartbeat is valid.
    package var presenceAge = 8.0
    /// Seconds that an engine may make no progress before its job is left to another worker.
    package var hangTimeout = 300.0
    /// Seconds that a worker keeps trying to store a result while NATS is away.
    package var storageTimeout = 900.0
    /// Seconds after which the files of a removed job are removed, if no job has one of them by then: longer
    /// than it takes to record a file that was stored.
    package var removalDelay = 60.0
    /// Replicas of each stream and bucket.
    package var replicas = 1

    package init() {}
}
