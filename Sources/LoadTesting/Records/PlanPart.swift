// Part of Inkstone. Licence: see LICENSE.

/// The part of a plan that one of several load generators sends.
///
/// Sessions, arrivals and users are dealt out in turn, so that each request of the plan belongs to exactly one part.
public struct PlanPart: Codable, Sendable, Equatable {
    /// Number of the part, from 1.
    public var number: Int
    /// Number of parts.
    public var count: Int

    /// The whole plan.
    public static let whole = PlanPart(number: 1, count: 1)

    package init(number: Int, count: Int) {
        self.number = number
        self.count = count
    }

    /// Parses `1/2`: the first of two parts; `nil` for anything else.
    public init?(_ text: String) {
        let numbers = text.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
        guard numbers.count == 2, let number = numbers[0], let count = numbers[1],
            (1...64).contains(count), (1...count).contains(number)
        else { return nil }
        self.init(number: number, count: count)
    }

    /// Whether the part is the whole plan.
    public var isWhole: Bool { count == 1 }

    /// Whether an arrival or a user belongs to the part.
    func contains(_ index: Int) -> Bool { index % count == number - 1 }

    /// The share of a number that is divided among the parts.
    package func share(of total: Int) -> Int { (0..<total).count { contains($0) } }
}

/// The positions in the plan of the requests that a generator begins, in order.
package struct PlanNumbering: Sendable {
    /// Requests of a session, which stay together.
    package var turns = 1
    /// The part of the plan.
    package var part = PlanPart.whole

    package init(turns: Int = 1, part: PlanPart = .whole) {
        self.turns = turns
        self.part = part
    }

    /// The position of the request with this number, both from 0.
    package func position(_ number: Int) -> Int {
        let (session, turn) = number.quotientAndRemainder(dividingBy: turns)
        return (session * part.count + part.number - 1) * turns + turn
    }

    /// The number of the request at a position.
    package func number(_ position: Int) -> Int {
        let (session, turn) = position.quotientAndRemainder(dividingBy: turns)
        return session / part.count * turns + turn
    }
}
