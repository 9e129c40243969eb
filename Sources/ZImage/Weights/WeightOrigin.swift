// Part of Inkstone. Licence: see LICENSE.

/// Where the packed weights of a component are stored.
package enum WeightOrigin: String, Sendable, Codable {
    /// In private memory.
    case memory
    /// In an existing file of the cache.
    case cache
    /// In a new file of the cache.
    case newCache = "new cache"
}
