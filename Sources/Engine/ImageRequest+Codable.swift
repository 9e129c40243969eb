// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Imaging
import Parameters

extension ImageRequest: Codable {
    private enum CodingKeys: String, CodingKey {
        case count, priority, source
        case embedsParameters = "embed_parameters"
    }

    /// A source image inside the JSON, as older rows hold it, or the strength alone.
    private struct EmbeddedSource: Decodable {
        private enum CodingKeys: CodingKey { case png, mask, strength }

        let png: Data?
        let mask: Data?
        let strength: Double

        init(from decoder: any Decoder) throws {
            let fields = try decoder.container(keyedBy: CodingKeys.self)
            png = try fields.decodeIfPresent(Data.self, forKey: .png)
            // Calls of workers state the size of a mask under this name.
            mask = png == nil ? nil : try fields.decodeIfPresent(Data.self, forKey: .mask)
            strength = try fields.decode(Double.self, forKey: .strength)
        }

        func source() throws -> Source? {
            guard let png else { return nil }
            return Source(
                image: try ImageDecoder.decode([UInt8](png)).flattened(),
                mask: try mask.map { try ImageDecoder.decode([UInt8]($0)).flattened() })
        }
    }

    /// Reads a request that was checked when it was made.
    ///
    /// The pixels of a source travel beside the JSON; those that older rows hold inside are read too.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        var parameters = try SamplingParameters(from: decoder)
        let embedded = try fields.decodeIfPresent(EmbeddedSource.self, forKey: .source)
        parameters.strength = parameters.strength ?? embedded?.strength
        self.init(
            parameters: parameters, count: try fields.decode(Int.self, forKey: .count),
            source: try embedded?.source(),
            priority: try fields.decodeIfPresent(Priority.self, forKey: .priority) ?? .normal,
            embedsParameters: try fields.decodeIfPresent(Bool.self, forKey: .embedsParameters)
                ?? true)
    }

    /// Writes everything but the pixels of a source, beside the parameters' own fields.
    public func encode(to encoder: any Encoder) throws {
        try parameters.encode(to: encoder)
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(count, forKey: .count)
        try fields.encode(priority, forKey: .priority)
        if !embedsParameters { try fields.encode(false, forKey: .embedsParameters) }
    }
}
