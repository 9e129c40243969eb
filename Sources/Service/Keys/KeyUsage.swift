// Part of Inkstone. Licence: see LICENSE.

import Synchronization

/// How much the holders of keys have in progress, and how often they asked within a minute.
package final class KeyUsage: Sendable {
    /// Why a request has to wait.
    package enum Refusal: Sendable, Equatable {
        /// So many are in progress.
        case concurrency(Int)
        /// So many were asked for; seconds until the next may come.
        case rate(Int, wait: Int)
    }

    /// What a key's holder has at other gateways.
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

    /// Notes that a request begins, unless the key's limits forbid it.
    package func begin(
        _ key: APIKey, elsewhere: Elsewhere = Elsewhere(), now: ContinuousClock.Instant = .now
    ) -> Refusal? {
        accounts.withLock { accounts in
            var account = accounts[key.name, default: Account()]
            defer { accounts[key.name] = account }
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

    /// Notes that a request has ended.
    package func end(_ key: APIKey) {
        accounts.withLock { $0[key.name, default: Account()].running -= 1 }
    }
}
