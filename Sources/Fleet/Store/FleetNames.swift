// Part of Inkstone. Licence: see LICENSE.

import Basics
package import Engine

/// Names of a fleet's streams, buckets and subjects in NATS.
package enum FleetNames {
    /// Bucket of jobs: the newest state of each.
    package static let jobs = "inkstone-jobs"
    /// Bucket of idempotency keys.
    package static let keys = "inkstone-keys"
    /// Key that is set to test whether there is space; those of clients are digests.
    package static let spaceTest = "space-test"
    /// Bucket of what all gateways share and no client may see.
    package static let secrets = "inkstone-secrets"
    /// Key of the secret that links are signed with.
    package static let linkSecret = "link"
    /// Bucket of heartbeats.
    package static let workers = "inkstone-workers"
    /// Bucket of models that a worker had within the hour.
    package static let models = "inkstone-models"
    /// Stream of image files.
    package static let images = "inkstone-pictures"
    /// Stream of jobs that were given up.
    package static let dead = "inkstone-dead"
    /// Stream of the unfinished jobs of a model and priority.
    package static func queue(_ model: String, _ priority: Priority) -> String {
        "inkstone-queue-\(token(model))-\(priority.rawValue)"
    }

    /// Subject of these jobs.
    package static func queueSubject(_ model: String, _ priority: Priority) -> String {
        "inkstone.queue.\(token(model)).\(priority.rawValue)"
    }

    /// Subject of the events of a job.
    package static func events(_ job: String) -> String { "inkstone.events.\(job)" }

    /// Subject on which a job is cancelled; `*` is every job.
    package static func cancel(_ job: String) -> String { "inkstone.cancel.\(job)" }

    /// Subject of a part of an image file.
    package static func part(_ digest: String, _ number: Int) -> String {
        "inkstone.pictures.\(digest).\(number)"
    }

    /// Subject of a model's jobs that were given up.
    package static func dead(_ model: String) -> String { "inkstone.dead.\(token(model))" }

    /// A name as a token of subjects, streams and keys: other bytes than letters, digits, `-` and `_` are
    /// `=` and two hexadecimal digits.
    package static func token(_ name: String) -> String {
        var text = ""
        for byte in name.utf8 {
            let scalar = Unicode.Scalar(byte)
            if byte < 128,
                scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
                    || scalar == "-" || scalar == "_"
            {
                text.unicodeScalars.append(scalar)
            } else {
                text += "=" + byte.hexadecimal(digits: 2)
            }
        }
        return text
    }
}
