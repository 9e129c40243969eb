// Part of Inkstone. Licence: see LICENSE.

import LoadTesting
import Testing

/// Expected values are those of the sizes' table: TFLOP, two operations a multiply-add.
@Suite struct WorkModelTests {
    static func tera(_ operations: Double, _ decimals: Int) -> String {
        Figures.decimals(operations / 1e12, decimals)
    }

    @Test(
        "one evaluation of Z-Image",
        arguments: [
            (256, "3.67"), (512, "12.90"), (768, "29.57"), (1024, "55.61"), (1536, "147.40"),
        ])
    func evaluation(edge: Int, expected: String) {
        let work = WorkModel.zImageTurbo.evaluation(width: edge, height: edge)
        #expect(Self.tera(work.total, 2) == expected)
    }

    @Test("the share of attention")
    func attention() {
        let work = WorkModel.zImageTurbo.evaluation(width: 1024, height: 1024)
        #expect(Self.tera(work.attention, 2) == "8.49")
        let large = WorkModel.zImageTurbo.evaluation(width: 2048, height: 2048)
        #expect(Self.tera(large.total, 0) == "319")
        #expect(Figures.decimals(100 * large.attention / large.total, 0) == "42")
    }

    @Test("decoder, text encoder, whole images")
    func parts() {
        let model = WorkModel.zImageTurbo
        #expect(Self.tera(model.decoding(width: 1024, height: 1024), 2) == "10.47")
        #expect(Self.tera(model.decoding(width: 512, height: 512), 3) == "2.515")
        #expect(Self.tera(model.textEncoding(tokens: 256), 3) == "1.846")
        #expect(Self.tera(model.operations(width: 1024, height: 1024, steps: 8), 1) == "455.8")
        #expect(Self.tera(model.operations(width: 512, height: 512, steps: 8), 1) == "106.2")
    }

    @Test("models by the names that servers report")
    func names() {
        #expect(WorkModel.named("emoji-nano") == .emojiNano)
        #expect(WorkModel.named("Tongyi-MAI/Z-Image-Turbo") == .zImageTurbo)
        #expect(WorkModel.named("sdxl") == nil)
        #expect(DevicePeaks.named("h100-sxm") == .h100)
        #expect(DevicePeaks.named("abacus") == nil)
    }
}
