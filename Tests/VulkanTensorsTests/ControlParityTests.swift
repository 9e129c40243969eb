// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import Tensors
import Testing
import VulkanTensors
import ZImage

/// ControlNets on a Vulkan device against what the reference computed in f32.
@Suite("ControlNets on a Vulkan device agree with the reference", .needsVulkan)
struct ControlParityTests {
    private static let folder = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures/control")

    @Test(
        "one evaluation, alone and beside a sequence without a net",
        arguments: ["1.0", "2.0", "2.1", "lite"], Precision.allCases)
    func evaluation(_ version: String, _ precision: Precision) throws {
        let model = try ModelDirectory(url: Self.folder.appending(path: "base"))
        let device = try TestDevice.backend(precision: precision)
        let transformer = try Transformer(
            config: model.transformerConfig, store: try model.transformerStore(), device: device)
        let file = version == "2.1" ? "net-2.1" : "net-\(version).safetensors"
        let net = try ControlNet(
            name: version, base: model.transformerConfig,
            feedForward: try model.feedForwardWidth(),
            store: try TensorStore(controlNet: Self.folder.appending(path: file)), device: device)
        let goldens = try SafetensorsFile(url: Self.folder.appending(path: "goldens.safetensors"))
        func tensor(_ name: String) throws -> [Float] {
            try #require(goldens.tensor(named: name), "\(name)").floats()
        }
        let caption = try transformer.prepareCaption(features: try tensor("features"))
        var generator = TorchGenerator(seed: 5)
        let plain = Transformer.Sequence(
            latents: generator.normals(16 * 12 * 8), height: 12, width: 8, caption: caption,
            time: 0)
        var controlled = plain
        let planes = Array(try tensor("context").prefix(net.config.channels * 12 * 8))
        controlled.controls = [.init(net, planes, height: 12, width: 8, strength: 0.75)]
        let want = try tensor("\(version)-g0.output")
        let alone = try transformer([controlled])[0]
        let error = Self.error(alone, want, precision)
        #expect(error <= (precision == .f32 ? 2e-4 : 2e-2), "\(error)")
        let both = try transformer([plain, controlled])
        #expect(both[1] == alone)
        #expect(try both[0] == transformer([plain])[0])
        #expect(both[0] != alone)
        if let failure = device.failure { throw failure }
    }

    /// As in the tests of stages.
    private static func error(
        _ got: [Float], _ want: [Float], _ precision: Precision
    ) -> Float {
        guard got.count == want.count, got.allSatisfy({ $0.isFinite }) else { return .infinity }
        let differences = zip(got, want).map { $0 - $1 }
        func square(_ numbers: [Float]) -> Float { numbers.reduce(0) { $0 + $1 * $1 } }
        func largest(_ numbers: [Float]) -> Float { numbers.reduce(0) { max($0, abs($1)) } }
        return precision == .int8
            ? (square(differences) / max(square(want), 1e-12)).squareRoot()
            : largest(differences) / max(largest(want), 1e-6)
    }
}
