// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Foundation
import ModelFiles
import Tensors
import ZImage

/// What commands that load a model keep between prompts and between starts.
struct CacheOptions: ParsableArguments {
    /// Bytes below which a component has no file; for tests.
    private static let minimumVariable = "INKSTONE_CACHE_MINIMUM"
    /// Gigabytes that all files may take.
    private static let limitVariable = "INKSTONE_CACHE_GB"

    @Flag(help: "Read every prompt anew, also one that came before.")
    var noPromptCache = false

    @Flag(help: "Pack the weights at every start instead of keeping them packed on the disk.")
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

    /// Where captions are kept, if they are.
    var promptCache: PromptCache<CPUBackend>? { noPromptCache ? nil : PromptCache() }

    /// Where packed weights are kept, if they are.
    var weightCache: WeightCache? {
        noWeightCache ? nil : Self.weightCache(cacheDir.map { URL(filePath: $0) })
    }

    /// The cache in a folder, or where the environment says.
    static func weightCache(_ folder: URL? = nil) -> WeightCache? {
        guard let folder = folder ?? WeightCache.standardFolder() else { return nil }
        var cache = WeightCache(folder: folder, warn: complain)
        if let minimum = number(minimumVariable) { cache.minimum = minimum }
        if let gigabytes = number(limitVariable) { cache.limit = gigabytes * 1_000_000_000 }
        return cache
    }

    /// Where the standard cache is and what it holds, for people.
    static var summary: String? {
        guard let cache = weightCache() else { return nil }
        let (files, bytes) = cache.contents
        return "\(cache.folder.path), \(files) \(files == 1 ? "file" : "files") of packed weights,"
            + " \(bytes.asBytes) of at most \(cache.limit.asBytes)"
    }
}
