// Part of Inkstone. Licence: see LICENSE.

import Imaging

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

// Requests are kept by the job store and travel to workers. A picture to start from is a PNG file in
// base64; absent fields take the values that they had before they existed.

extension ImageRequest: Codable {
    private enum CodingKeys: String, CodingKey {
        case prompt, negativePrompt, size, steps, guidanceScale, cfgNormalization, cfgTruncation
        case seed, count, source, loras, priority
    }

    /// Reads a request that was checked when it was made.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            prompt: try fields.decode(String.self, forKey: .prompt),
            negativePrompt: try fields.decode(String.self, forKey: .negativePrompt),
            size: try fields.decode(PixelSize.self, forKey: .size),
            steps: try fields.decode(Int.self, forKey: .steps),
            guidanceScale: try fields.decode(Double.self, forKey: .guidanceScale),
            cfgNormalization: try fields.decode(Double.self, forKey: .cfgNormalization),
            cfgTruncation: try fields.decode(Double.self, forKey: .cfgTruncation),
            seed: try fields.decode(UInt64.self, forKey: .seed),
            count: try fields.decode(Int.self, forKey: .count),
            source: try fields.decodeIfPresent(Source.self, forKey: .source),
            loras: try fields.decodeIfPresent([LoRAChoice].self, forKey: .loras) ?? [],
            priority: try fields.decodeIfPresent(Priority.self, forKey: .priority) ?? .normal)
    }

    /// Writes every field.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(prompt, forKey: .prompt)
        try fields.encode(negativePrompt, forKey: .negativePrompt)
        try fields.encode(size, forKey: .size)
        try fields.encode(steps, forKey: .steps)
        try fields.encode(guidanceScale, forKey: .guidanceScale)
        try fields.encode(cfgNormalization, forKey: .cfgNormalization)
        try fields.encode(cfgTruncation, forKey: .cfgTruncation)
        try fields.encode(seed, forKey: .seed)
        try fields.encode(count, forKey: .count)
        try fields.encodeIfPresent(source, forKey: .source)
        if !loras.isEmpty { try fields.encode(loras, forKey: .loras) }
        if priority != .normal { try fields.encode(priority, forKey: .priority) }
    }
}

extension ImageRequest.Source: Codable {
    private enum CodingKeys: String, CodingKey { case png, strength, mask }

    /// Reads picture, strength and mask.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        let file = try fields.decode(Data.self, forKey: .png)
        self.init(
            image: try ImageDecoder.decode([UInt8](file)).flattened(),
            strength: try fields.decode(Double.self, forKey: .strength),
            mask: try fields.decodeIfPresent(Data.self, forKey: .mask).map {
                try ImageDecoder.decode([UInt8]($0)).flattened()
            })
    }

    /// Writes picture, strength and mask.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(Data(try ImageEncoder.encode(image)), forKey: .png)
        try fields.encode(strength, forKey: .strength)
        try fields.encodeIfPresent(
            try mask.map { Data(try ImageEncoder.encode($0)) }, forKey: .mask)
    }
}
