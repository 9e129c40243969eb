// Part of Inkstone. Licence: see LICENSE.

import Parameters

/// The members of the Z-Image family that differ in how they are used, not in how they are built.
public enum ModelKind: Sendable, Equatable, CaseIterable {
    /// Distilled: 8 steps without guidance.
    case turbo
    /// Not distilled: 28 to 50 steps with guidance.
    case base

    /// The kind that a schedule belongs to: Turbo is released with a shift of 3, base with 6.
    public init(scheduler: SchedulerConfig) {
        self = scheduler.shift < 4.5 ? .turbo : .base
    }
}

extension ModelManifest {
    /// What a folder without `inkstone.json` gets.
    ///
    /// - Parameters:
    ///   - kind: decides on steps, guidance and presets.
    ///   - id: identifier, usually the folder's name.
    ///   - latentChannels: the known preview coefficients are for 16.
    public init(kind: ModelKind, id: String, latentChannels: Int) {
        let size = PixelSize(width: 1024, height: 1024)
        let turbo = ModelPreset(
            id: "turbo", name: ["en": "Turbo, 8 steps", "zh": "Turbo，8 步"], size: size, steps: 8,
            guidanceScale: 0)
        let quality = ModelPreset(
            id: "quality", name: ["en": "28 steps, guidance 5.0", "zh": "28 步，引导 5.0"],
            size: size, steps: 28, guidanceScale: 5)
        let main = kind == .turbo ? turbo : quality
        self.init(
            id: id, name: kind == .turbo ? "Z-Image-Turbo" : "Z-Image",
            summary: kind == .turbo
                ? [
                    "en": "Draws a picture in 8 steps.",
                    "zh": "8 步生成图像。",
                ]
                : [
                    "en": "Draws a picture in 28 to 50 steps with guidance.",
                    "zh": "使用引导，28 至 50 步生成图像。",
                ],
            license: "not stated",
            defaults: ModelDefaults(
                size: size, steps: main.steps,
                // What the authors use for the undistilled model; the preset is the benchmark's.
                guidanceScale: kind == .turbo ? 0 : 4),
            sizes: Self.commonSizes,
            presets: kind == .turbo ? [turbo, quality] : [quality, turbo],
            examples: Self.commonExamples,
            preview: latentChannels == Preview.flux.factors.count ? .flux : nil)
    }

    /// Sizes of about one megapixel, and a small one for machines without a GPU.
    private static let commonSizes = [
        (1024, 1024), (1152, 896), (896, 1152), (1152, 864), (864, 1152), (1248, 832), (832, 1248),
        (1280, 720), (720, 1280), (1344, 576), (576, 1344), (512, 512),
    ].map { PixelSize(width: $0.0, height: $0.1) }

    private static let commonExamples = [
        "en": [
            "A red fox asleep in fresh snow, morning light, photograph",
            "A bowl of noodle soup on a wooden table, steam rising, close-up",
            "A paper boat on a rainy street at night, neon reflections",
        ],
        "zh": [
            "清晨的雪地里，一只红狐狸正在睡觉，摄影",
            "木桌上的一碗热汤面，热气腾腾，特写",
            "水墨画：江上孤舟，远山薄雾",
        ],
    ]
}

extension ModelManifest.Preview {
    /// Coefficients for the latents of the FLUX.1 autoencoder, which Z-Image uses.
    ///
    /// - Source: ComfyUI, `comfy/latent_formats.py`, class `Flux`.
    public static let flux = ModelManifest.Preview(
        factors: [
            [-0.0346, 0.0244, 0.0681], [0.0034, 0.0210, 0.0687], [0.0275, -0.0668, -0.0433],
            [-0.0174, 0.0160, 0.0617], [0.0859, 0.0721, 0.0329], [0.0004, 0.0383, 0.0115],
            [0.0405, 0.0861, 0.0915], [-0.0236, -0.0185, -0.0259], [-0.0245, 0.0250, 0.1180],
            [0.1008, 0.0755, -0.0421], [-0.0515, 0.0201, 0.0011], [0.0428, -0.0012, -0.0036],
            [0.0817, 0.0765, 0.0749], [-0.1264, -0.0522, -0.1103], [-0.0280, -0.0881, -0.0499],
            [-0.1262, -0.0982, -0.0778],
        ],
        bias: [-0.0329, -0.0718, -0.0851])
}
