// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Testing

/// Packed weights on the disk, as a person meets them.
@Suite struct CacheTests {
    @Test("the second start finds the weights of the first, and the picture is the same")
    func weights() async throws {
        let folder = try TemporaryFolder()
        let environment = ["INKSTONE_CACHE_MINIMUM": "0"]
        let arguments =
            ["generate", "a cat", "--json", "--threads", "1", "--cache-dir", "cache"]
            + Program.small
        var digests: Set<String> = []
        for more in [[], [], ["--no-weight-cache"], ["--no-prompt-cache"]] {
            let result = try await Program.run(
                arguments + more, in: folder, environment: environment)
            #expect(result.status == 0, "\(result.errors)")
            #expect(result.errors.isEmpty)
            digests.insert(try Report(result).sha256)
        }
        #expect(digests.count == 1)
        let names = try FileManager.default.contentsOfDirectory(
            atPath: folder.url.appending(path: "cache").path)
        #expect(names.count { $0.hasSuffix(".panels") } == 3)
        let shown = try await Program.run(
            ["models", "show"], in: folder,
            environment: ["INKSTONE_CACHE": folder.url.appending(path: "cache").path])
        #expect(shown.output.contains("cache, 3 files of packed weights, "))
    }

    @Test("a folder that cannot be used is a warning, and the picture is drawn")
    func unusable() async throws {
        let folder = try TemporaryFolder()
        try folder.write("x", to: "cache")
        let result = try await Program.run(
            ["generate", "a cat", "--cache-dir", "cache", "--threads", "1"] + Program.small,
            in: folder, environment: ["INKSTONE_CACHE_MINIMUM": "0"])
        #expect(result.status == 0)
        #expect(result.errors.contains("packed again at every start"))
    }

    @Test("a number that is none is refused")
    func environment() async throws {
        let result = try await Program.run(
            ["generate", "a cat"], in: try TemporaryFolder(),
            environment: ["INKSTONE_CACHE_GB": "much"])
        #expect(result.status == 64)
        #expect(result.errors.contains("INKSTONE_CACHE_GB"))
    }
}
