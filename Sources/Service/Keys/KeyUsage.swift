// Part of Inkstone. Licence: see LICENSE.

import Synchronization

/// Requests in progress and requests of the last minute, by the id of the API key.
package final class KeyUsage: Sendable {
    /// Why a request is refused for now.
    package enum Refusal: Sendable, Equatable {
        /// The number of requests in progress has reached this limit.
        case concurrency(Int)
        /// The number of requests within a minute has reached this limit; seconds until the next is accepted.
        case rate(Int, wait: Int)
    }

    /// Requests of a key at other gateways.
    package struct Elsewhere: Sendable, Equatable {
        /// Requests in progress.
        package var running: Int
        /// Requests of the last minute: how long ago each was accepted.
        package var recent: [Duration]

        package init(running: Int = 0, recent: [Duration] = []) {
            self.running = running
            self.recent = recent
        }
    }

    private struct Account {
        var running = 0
        var recent: [ContinuousClock.Instant] = []
    }

    private let accounts = Mutex<[String: Account]>([:])

    package init() {}

    /// Records that a request begins, unless the key's limits forbid it.
    package func begin(
        _ key: APIKey, elsewhere: Elsewhere = Elsewhere(), now: ContinuousClock.Instant = .now
    ) -> Refusal? {
        accounts.withLock { accounts in
            var account = accounts[key.id, default: Account()]
            defer { accounts[key.id] = account }
            if let limit = key.concurrency, account.running + elsewhere.running >= limit {
                return .concurrency(limit)
            }
            if let limit = key.perMinute {
                account.recent.removeAll { now - $0 >= .seconds(60) }
                let ages = (account.recent.map { now - $0 } + elsewhere.recent).sorted(by: >)
                if ages.count >= limit {
                    // So many must have left the minute that one more fits.
                    let wait = .seconds(60) - ages[ages.count - limit]
                    return .rate(limit, wait: RetryAfter.seconds(wait / .seconds(1)))
                }
                account.recent.append(now)
            }
            account.running += 1
            return nil
        }
    }

    /// Records that a request has ended.
    package func end(_ key: APIKey) {
        accounts.withLock { $0[key.id, default: Account()].running -= 1 }
    }
}
