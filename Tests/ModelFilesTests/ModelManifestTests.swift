// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import Parameters
import Testing

@Suite struct ModelManifestTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func read(_ text: String, latentChannels: Int = 2) throws -> ModelManifest {
        try ModelManifest(
            ManifestFile(contentsOf: folder.write(text, to: ManifestFile.name)),
            fallback: ModelManifest(kind: .turbo, id: "folder", latentChannels: latentChannels),
            latentChannels: latentChannels)
    }

    @Test("a full file is read") func full() throws {
        let manifest = try read(
            """
            {"id": "nano-1.0", "name": "Nano", "license": "Apache-2.0",
             "description": {"en": "Small.", "zh": "小"},
             "defaults": {"width": 128, "height": 144, "steps": 8, "guidance_scale": 0,
                          "negative_prompt": "blurry"},
             "sizes": [[128, 144], [64, 64]],
             "presets": [{"id": "fast", "name": {"en": "Fast", "zh": "快"}, "width": 64,
                          "height": 64, "steps": 4, "guidance_scale": 1.5},
                         {"id": "bare"}],
             "examples": {"en": ["a cat"], "zh": ["猫", "狗"]},
             "words": {"en": ["cat", "fire truck", "t-shirt"], "zh": ["猫", "T恤"]},
             "preview": {"factors": [[0.1, 0.2, 0.3], [1, 0, -1]], "bias": [0, 0.5, 1]},
             "limits": {"max_width": 256, "max_height": 256, "max_steps": 50, "max_count": 8,
                        "max_prompt_length": 500}, "future": true}
            """)
        let bare = ModelPreset(
            id: "bare", name: ["en": "bare"], size: .init(width: 128, height: 144), steps: 8,
            guidanceScale: 0)
        let fast = ModelPreset(
            id: "fast", name: ["en": "Fast", "zh": "快"], size: .init(width: 64, height: 64),
            steps: 4, guidanceScale: 1.5)
        #expect(
            manifest
                == ModelManifest(
                    id: "nano-1.0", name: "Nano", summary: ["en": "Small.", "zh": "小"],
                    license: "Apache-2.0",
                    defaults: .init(
                        size: .init(width: 128, height: 144), steps: 8, guidanceScale: 0,
                        negativePrompt: "blurry"),
                    sizes: [.init(width: 128, height: 144), .init(width: 64, height: 64)],
                    presets: [fast, bare], examples: ["en": ["a cat"], "zh": ["猫", "狗"]],
                    words: ["en": ["cat", "fire truck", "t-shirt"], "zh": ["猫", "T恤"]],
                    preview: .init(factors: [[0.1, 0.2, 0.3], [1, 0, -1]], bias: [0, 0.5, 1]),
                    limits: .init(
                        maximumWidth: 256, maximumHeight: 256, maximumSteps: 50, maximumCount: 8,
                        maximumPromptLength: 500)))
    }

    @Test("an empty file changes nothing") func empty() throws {
        #expect(try read("{}") == ModelManifest(kind: .turbo, id: "folder", latentChannels: 2))
    }

    @Test("own defaults replace sizes and presets made for other defaults") func ownDefaults()
        throws
    {
        let manifest = try read(
            "{\"defaults\": {\"width\": 128, \"height\": 128}, \"description\": \"x\"}")
        #expect(manifest.sizes == [.init(width: 128, height: 128)])
        #expect(manifest.presets.map(\.size.width) == [128])
        #expect(manifest.defaults.steps == 8 && manifest.summary == ["en": "x"])
    }

    @Test(
        "a malformed file is refused, and the field named",
        arguments: [
            ("[]", "expected an object"), ("{\"id\": 3}", "id is 3"), ("{\"id\": \"\"}", "id is"),
            ("{\"id\": \"a b\"}", "id is 'a b'"), ("{\"id\": \"../x\"}", "id is"),
            ("{\"name\": []}", "name is"), ("{\"license\": {}}", "license is"),
            ("{\"description\": 1}", "description"), ("{\"description\": {}}", "description"),
            ("{\"description\": {\"en\": 1}}", "description.en"),
            ("{\"description\": {\"1\": \"x\"}}", "description"),
            ("{\"defaults\": []}", "defaults"),
            (
                "{\"defaults\": {\"width\": 100}}",
                "defaults.width is 100, expected a multiple of 16"
            ),
            ("{\"defaults\": {\"width\": 0}}", "defaults.width is 0"),
            ("{\"defaults\": {\"height\": 1000000}}", "defaults.height"),
            ("{\"defaults\": {\"height\": \"128\"}}", "defaults.height is '128'"),
            ("{\"defaults\": {\"steps\": 0}}", "defaults.steps"),
            ("{\"defaults\": {\"steps\": 8.5}}", "defaults.steps"),
            ("{\"defaults\": {\"guidance_scale\": -1}}", "defaults.guidance_scale"),
            ("{\"defaults\": {\"guidance\": 1}}", "defaults.guidance is not known"),
            ("{\"defaults\": {\"negative_prompt\": 1}}", "negative_prompt"),
            ("{\"sizes\": []}", "sizes"), ("{\"sizes\": [[128]]}", "sizes[0]"),
            ("{\"sizes\": [[128, 128], [128, 100]]}", "sizes[1]"),
            ("{\"sizes\": [\"128x128\"]}", "sizes[0]"), ("{\"presets\": {}}", "presets"),
            ("{\"presets\": [1]}", "presets[0]"), ("{\"presets\": [{}]}", "presets[0].id"),
            ("{\"presets\": [{\"id\": \"a\"}, {\"id\": \"a\"}]}", "presets[1].id"),
            ("{\"presets\": [{\"id\": \"a\", \"width\": 8}]}", "presets[0].width"),
            ("{\"presets\": [{\"id\": \"a\", \"stepz\": 8}]}", "presets[0].stepz is not known"),
            ("{\"examples\": [\"a\"]}", "examples"),
            ("{\"examples\": {\"en\": \"a\"}}", "examples.en"),
            ("{\"examples\": {\"en\": [\"\"]}}", "examples.en"),
            ("{\"examples\": {\"e!\": []}}", "examples"), ("{\"words\": [\"a\"]}", "words"),
            ("{\"words\": {\"en\": \"a\"}}", "words.en"),
            ("{\"words\": {\"en\": [1]}}", "words.en"),
            ("{\"words\": {\"e!\": []}}", "words has the key 'e!'"),
            ("{\"words\": {\"en\": [\"a\", \"\"]}}", "words.en[1] is"),
            ("{\"words\": {\"en\": [\" a\"]}}", "without spaces around it"),
            ("{\"words\": {\"en\": [\"a\\nb\"]}}", "words.en[0] is"),
            (
                "{\"words\": {\"zh\": [\"T恤\", \"t恤\"]}}",
                "words.zh[1] is 't恤', expected a word that is not in the list before"
            ), ("{\"preview\": 1}", "preview"),
            ("{\"preview\": {\"bias\": [0, 0, 0]}}", "preview.factors"),
            ("{\"preview\": {\"factors\": [[1, 2, 3]]}}", "preview.factors"),
            ("{\"preview\": {\"factors\": [[1, 2], [1, 2, 3]]}}", "preview.factors[0]"),
            ("{\"preview\": {\"factors\": [[1, 2, 3], [1, 2, \"3\"]]}}", "preview.factors[1]"),
            ("{\"preview\": {\"factors\": [[1, 2, 3], [1, 2, 3]], \"bias\": 1}}", "preview.bias"),
            ("{\"limits\": {\"max_width\": 100}}", "limits.max_width"),
            ("{\"limits\": {\"max_count\": 0}}", "limits.max_count"),
            ("{\"limits\": {\"max\": 1}}", "limits.max is not known"),
            ("{\"limits\": {\"max_width\": 512}}", "exceeds limits"),
            ("{\"limits\": {\"max_steps\": 4}}", "exceeds limits"), ("{", "not valid JSON"),
        ])
    func refuses(text: String, mentions: String) throws {
        let error = try failure { try read(text) }
        #expect(error.code == .badConfig)
        #expect(error.message.contains("inkstone.json"))
        #expect(error.message.contains(mentions), "\(error)")
    }

    @Test("a word has at most 100 characters") func longWords() throws {
        let word = String(repeating: "字", count: 100)
        #expect(try read("{\"words\": {\"zh\": [\"\(word)\"]}}").words == ["zh": [word]])
        let error = try failure { try read("{\"words\": {\"zh\": [\"\(word)字\"]}}") }
        #expect(error.message.contains("expected a word of 1 to 100 characters"), "\(error)")
    }

    @Test("folders without a file get what suits their kind") func kinds() {
        let turbo = ModelManifest(kind: .turbo, id: "t", latentChannels: 16)
        let size = PixelSize(width: 1024, height: 1024)
        #expect(turbo.defaults == .init(size: size, steps: 8, guidanceScale: 0))
        #expect(turbo.presets.map(\.id) == ["turbo", "quality"])
        #expect(turbo.preview == .flux)
        let base = ModelManifest(kind: .base, id: "b", latentChannels: 4)
        #expect(base.defaults == .init(size: size, steps: 28, guidanceScale: 4))
        #expect(base.preview == nil)
        for manifest in [turbo, base] {
            #expect(Set(manifest.examples.keys) == ["en", "zh"])
            #expect(
                manifest.limits
                    == ModelLimits(
                        maximumWidth: 2048, maximumHeight: 2048, maximumSteps: 200,
                        maximumCount: 10, maximumPromptLength: 32_000))
            #expect(manifest.sizes.allSatisfy { $0.width % 16 == 0 && $0.height % 16 == 0 })
            #expect(manifest.presets.allSatisfy { Set($0.name.keys) == ["en", "zh"] })
        }
        #expect(ModelKind(scheduler: .turbo) == .turbo)
        #expect(ModelKind(scheduler: SchedulerConfig(shift: 6)) == .base)
    }

    @Test("the known preview coefficients have 16 rows of 3") func fluxPreview() {
        #expect(ModelManifest.Preview.flux.factors.map(\.count) == [Int](repeating: 3, count: 16))
        #expect(ModelManifest.Preview.flux.bias.count == 3)
    }
}
