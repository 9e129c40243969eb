// Part of Inkstone. Licence: see LICENSE.

import Catalog
import Engine
import Foundation
import ModelFiles
import Tensors
import Testing
import ZImage

/// Pixels of 60 requests, bit by bit, for each variant of the kernels.
///
/// The digests are in `Tests/Fixtures/golden/pixel-digests.json`. A change that is not meant to alter
/// images leaves them alone; `INKSTONE_UPDATE_SNAPSHOTS=1` records those of the variants that the
/// machine runs, and removes those of the others, which it cannot check.
@Suite("Golden pixels", .serialized, .timeLimit(.minutes(10)))
struct GoldenDigestTests {
    /// By variant (see ``recorded``), by `precision/name`: one digest for each image, 32 hexadecimal digits of its SHA-256.
    private typealias Fixture = [String: [String: [String]]]

    /// The variant under whose name digests are recorded: integer products have exact sums, so that one with
    /// other instructions for them alone has the same pixels.
    private static func recorded(_ kernels: String) -> String {
        ["avxvnni": "avx2", "avx512vnni": "avx512"][kernels] ?? kernels
    }

    private static let root = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    private static let model = root.appending(path: "Models/emoji-nano")
    private static let file = root.appending(path: "Tests/Fixtures/golden/pixel-digests.json")
    private static let isRecording =
        ProcessInfo.processInfo.environment["INKSTONE_UPDATE_SNAPSHOTS"] == "1"

    private static func fixture() throws -> Fixture {
        try JSONDecoder().decode(Fixture.self, from: Data(contentsOf: file))
    }

    private func engine(_ precision: Precision, kernels: String) throws -> InferenceEngine<
        CPUBackend
    > {
        let pipeline = try Pipeline(
            model: try ModelDirectory(url: Self.model),
            device: try CPUBackend(precision: precision, threads: 2, kernels: kernels))
        return InferenceEngine(pipeline: pipeline, loras: LoRARegistry(models: [Self.model]))
    }

    /// Digests of all images of each request, by `precision/name`.
    private func digests(kernels: String) async throws -> [String: [String]] {
        var digests: [String: [String]] = [:]
        for precision in Precision.allCases {
            let engine = try engine(precision, kernels: kernels)
            let model = engine.description
            for golden in GoldenRequest.all where kernels != "portable" || golden.isPortable {
                let request = try ImageRequest(try golden.draft(), for: model)
                var found: [String] = []
                for try await event in engine.events(for: request, model: model.id) {
                    if case .image(let image) = event {
                        found.append(String(image.pixelDigest.prefix(32)))
                    }
                }
                digests["\(precision)/\(golden.name)"] = found
            }
        }
        return digests
    }

    @Test(
        "pixels are those recorded",
        arguments: [
            "portable", "avx2", "avxvnni", "avx512", "avx512vnni", "avx512bf16", "neon", "neondot",
            "neoni8mm", "neonbf16",
        ])
    func pixels(kernels: String) async throws {
        guard CPUBackend.availableKernels.contains(kernels) else {
            Issue.record("not run: this processor has no \(kernels).", severity: .warning)
            return
        }
        let actual = try await digests(kernels: kernels)
        if Self.isRecording { try record(actual, kernels: kernels) }
        guard let expected = try Self.fixture()[Self.recorded(kernels)] else {
            Issue.record(
                "not compared: no digests of \(kernels) are recorded.", severity: .warning)
            return
        }
        #expect(actual.count == expected.count)
        for (name, digests) in expected.sorted(by: { $0.key < $1.key }) {
            #expect(actual[name] == digests, "\(kernels): \(name)")
        }
    }

    @Test("digests of the kernels that every machine has are recorded, of 60 requests")
    func complete() throws {
        let fixture = try Self.fixture()
        let portable = GoldenRequest.all.filter(\.isPortable).count
        #expect(fixture["portable"]?.count == portable * Precision.allCases.count)
        #expect(fixture["avx2"]?.count == 60)
    }

    private func record(_ digests: [String: [String]], kernels: String) throws {
        var fixture = (try? Self.fixture()) ?? [:]
        let known = CPUBackend.availableKernels
        fixture = fixture.filter { known.contains($0.key) && Self.recorded($0.key) == $0.key }
        fixture[Self.recorded(kernels)] = digests
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try FileManager.default.createDirectory(
            at: Self.file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try (encoder.encode(fixture) + Data("\n".utf8)).write(to: Self.file)
    }
}
