// Part of Inkstone. Licence: see LICENSE.

import Engine
import Parameters
import Testing

/// One place fills gaps with the model's defaults and refuses what the model cannot do.
@Suite("Requests are completed and checked")
struct ImageRequestTests {
    static let model = ModelDescription(
        id: "tiny", name: "Tiny", summary: [:], license: "none",
        defaults: .init(
            size: PixelSize(width: 128, height: 96), steps: 8, guidanceScale: 0,
            negativePrompt: "blurry"),
        limits: .init(
            maximumWidth: 512, maximumHeight: 256, maximumSteps: 50, maximumCount: 4,
            maximumPromptLength: 20, sizeMultiple: 16),
        sizes: [], presets: [], examples: [:], parameterCount: 1, precision: "f32",
        kernels: "portable", loadedAt: 0)

    @Test("gaps are filled from the model's defaults")
    func defaults() throws {
        let request = try ImageRequest(.init(prompt: "a cat"), for: Self.model)
        #expect(request.size == PixelSize(width: 128, height: 96))
        #expect(request.steps == 8)
        #expect(request.guidanceScale == 0)
        #expect(request.negativePrompt == "blurry")
        #expect(request.count == 1)
        #expect(request.cfgTruncation == 1)
        #expect(request.seed < 1 << 31)
    }

    @Test("what the client says is kept")
    func explicit() throws {
        var draft = ImageRequest.Draft(prompt: "一只猫")
        draft.width = 512
        draft.height = 256
        draft.steps = 50
        draft.guidanceScale = 5
        draft.seed = 7
        draft.count = 4
        let request = try ImageRequest(draft, for: Self.model)
        #expect(request.size == PixelSize(width: 512, height: 256))
        #expect((request.steps, request.count, request.seed) == (50, 4, 7))
    }

    @Test(
        "each limit is reported with the expected and the received value",
        arguments: [
            ("width", "multiple of 16 between 16 and 512, got 100"),
            ("height", "multiple of 16 between 16 and 256, got 272"),
            ("steps", "between 1 and 50, got 0"),
            ("count", "between 1 and 4, got 5"),
            ("guidance_scale", "between 0.0 and 100.0, got -1.0"),
            ("cfg_truncation", "between 0.0 and 1.0, got 2.0"),
            ("prompt", "at most 20 characters, got 21"),
        ])
    func limits(_ field: String, _ text: String) {
        var draft = ImageRequest.Draft(prompt: field == "prompt" ? "aaaaaaaaaaaaaaaaaaaaa" : "a")
        switch field {
        case "width": draft.width = 100
        case "height": draft.height = 272
        case "steps": draft.steps = 0
        case "count": draft.count = 5
        case "guidance_scale": draft.guidanceScale = -1
        case "cfg_truncation": draft.cfgTruncation = 2
        default: break
        }
        let error = #expect(throws: RequestError.self) {
            _ = try ImageRequest(draft, for: Self.model)
        }
        #expect(error?.field == field)
        #expect(error?.message.contains(text) == true, "\(error?.message ?? "")")
    }

    @Test("not-a-number is refused")
    func notANumber() {
        var draft = ImageRequest.Draft(prompt: "a")
        draft.guidanceScale = .nan
        #expect(throws: RequestError.self) { try ImageRequest(draft, for: Self.model) }
    }

    @Test("a size is read with any of the separators", arguments: ["64x32", "64*32", "64X32"])
    func size(_ text: String) {
        #expect(PixelSize(text) == PixelSize(width: 64, height: 32))
        #expect(PixelSize("64") == nil)
        #expect(PixelSize("64x") == nil)
        #expect(PixelSize("64x32x1") == nil)
    }
}
