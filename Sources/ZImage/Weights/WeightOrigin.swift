// Part of Inkstone. Licence: see LICENSE.

/// Where a component's packed weights are.
package enum WeightOrigin: String, Sendable, Codable {
    /// In memory of their own.
    case memory
    /// In a file of the cache that was there.
    case cache
    /// In a file of the cache that was made now.
    case newCache = "new cache"
}
