// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import ModelFiles
import Tensors
import Testing
import ZImage

/// What a choice of precision means for a small model and for a large one.
@Suite("Choices of precision")
struct PrecisionChoiceTests {
    private static let models = URL(filePath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Models")

    @Test("auto goes by the number of parameters, other choices are what they say")
    func resolved() throws {
        let small = try ModelDirectory(url: Self.models.appending(path: "emoji-nano"))
        let large = try RandomModel.zImageTurbo.directory(tokenizerOf: URL(filePath: "/"))
        for model in [small, large] {
            #expect(try PrecisionChoice.f32.resolved(for: model) == .f32)
            #expect(try PrecisionChoice.bf16.resolved(for: model) == .bf16)
            #expect(try PrecisionChoice.int8.resolved(for: model) == .int8)
        }
        let parameters = try MemoryPlan(model: large, precision: .f32).parameterCount
        #expect(parameters > 9_000_000_000)
        #expect(
            try PrecisionChoice.auto.resolved(for: small)
                == (CPUBackend.hasNativeBF16 ? .bf16 : .f32))
        #expect(try PrecisionChoice.auto.resolved(for: large) == .int8)
    }

    @Test("a reason says who chose, and by what")
    func reasons() {
        #expect(PrecisionChoice.f32.reason(for: .f32) == "as requested")
        #expect(PrecisionChoice.int8.reason(for: .int8) == "as requested")
        #expect(PrecisionChoice.auto.reason(for: .int8).contains("10^9"))
        #expect(PrecisionChoice.auto.reason(for: .bf16).contains("kernels have instructions"))
        #expect(PrecisionChoice.auto.reason(for: .f32).contains("kernels have no instructions"))
    }
}
