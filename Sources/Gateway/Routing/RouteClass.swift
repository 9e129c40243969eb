// Part of Inkstone. Licence: see LICENSE.

/// The clients that may use a route of a service with keys.
package enum RouteClass: String, Sendable, CaseIterable {
    /// All clients: the page's files and the routes of supervisors.
    case `public`
    /// The holder of any key.
    case key
    /// The holder of any key; what the request names, such as a job, must belong to the key.
    ///
    /// What belongs to another key is answered as if it did not exist.
    case owner
    /// The owner of the file that the link points to, and the holder of its signed address.
    case link
    /// The holder of a key of the scope admin.
    case admin
}
