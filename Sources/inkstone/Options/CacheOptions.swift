// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Basics
import Foundation
import ModelFiles
import Tensors
import ZImage

/// Caches of prompts and packed weights, for commands that load a model.
struct CacheOptions: ParsableArguments {
    @Flag(help: "Encode every prompt, also repeated ones.")
    var noPromptCache = false

    @OptionGroup var weights: WeightCacheOptions

    /// Creates a cache of encoded prompts for a device, unless disabled.
    func promptCache<Device: Backend>(for device: Device) -> PromptCache<Device>? {
        noPromptCache ? nil : PromptCache()
    }
}

/// The cache of packed weights.
struct WeightCacheOptions: ParsableArguments {
    /// Minimum number of bytes of a cached component; for tests.
    private static let minimumVariable = "INKSTONE_CACHE_MINIMUM"
    /// Maximum number of gigabytes of all files.
    private static let limitVariable = "INKSTONE_CACHE_GB"

    @Flag(help: "Pack the weights at every start instead of caching them on disk.")
    var noWeightCache = false

    @Option(
        help: ArgumentHelp(
            "Folder of packed weights; INKSTONE_CACHE or ~/.cache/inkstone if not given.",
            valueName: "folder"))
    var cacheDir: String?

    mutating func validate() throws {
        for variable in [Self.minimumVariable, Self.limitVariable] {
            guard let text = Self.environment[variable], !text.isEmpty else { continue }
            guard let number = Int(text), (0...1_000_000_000).contains(number) else {
                throw ValidationError(
                    "\(variable) must be a whole number between 0 and 1000000000, got '\(text)'.")
            }
        }
    }

    private static var environment: [String: String] { ProcessInfo.processInfo.environment }

    private static func number(_ variable: String) -> Int? {
        environment[variable].flatMap { Int($0) }
    }

    /// The cache of packed weights, unless disabled.
    var cache: WeightCache? {
        noWeightCache ? nil : Self.cache(cacheDir.map { URL(filePath: $0) })
    }

    /// The cache in a folder, or in the one of the environment.
    static func cache(_ folder: URL? = nil) -> WeightCache? {
        guard let folder = folder ?? WeightCache.standardFolder() else { return nil }
        var cache = WeightCache(folder: folder, warn: complain)
        if let minimum = number(minimumVariable) { cache.minimum = minimum }
        if let gigabytes = number(limitVariable) { cache.limit = gigabytes * 1_000_000_000 }
        return cache
    }

    /// Location and size of the default cache, as text.
    static var summary: String? {
        guard let cache = cache() else { return nil }
        let (files, bytes) = cache.contents
        return "\(cache.folder.path), \(files) \(files == 1 ? "file" : "files") of packed weights,"
            + " \(bytes.byteText) of at most \(cache.limit.byteText)"
    }
}
