// Part of Inkstone. Licence: see LICENSE.

/// The jobs that a lookup may find.
///
/// Every lookup of a `JobQueue` has one. A name is looked up as a job's id first, and then as the id under
/// which a client knows its call: then it is the newest job of that name among those of the access. Ids of
/// calls are chosen by clients, so that several owners may use the same one.
public enum JobAccess: Sendable, Equatable {
    /// Those of every owner, and those without one.
    case all
    /// Those of one API key, by its id.
    case owner(String)

    /// None: no key has this id.
    package static let none = JobAccess.owner(" ")

    /// Whether a job of this owner may be found.
    package func permits(_ owner: String?) -> Bool {
        switch self {
        case .all: true
        case .owner(let own): owner == own
        }
    }
}
