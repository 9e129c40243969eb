// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Imaging
import Parameters
import Testing

/// Files without generation parameters, for those who publish images without their prompts.
@Suite struct EmbeddedParametersTests {
    private static func request(_ embedsParameters: Bool?) throws -> ImageRequest {
        var draft = ImageRequest.Draft(prompt: "a secret cat")
        draft.embedsParameters = embedsParameters
        return try ImageRequest(draft, for: ImageRequestTests.model)
    }

    @Test("a file holds them unless a request says otherwise", arguments: ImageFormat.allCases)
    func files(format: ImageFormat) throws {
        let image = GeneratedImage(
            index: 0, seed: 7, image: try RGBImage(width: 1, height: 1, pixels: [1, 2, 3]),
            pixelDigest: "", promptTruncated: false,
            seconds: .init(text: 0, steps: [0], decode: 0, total: 0))
        func text(_ embedsParameters: Bool?) throws -> String? {
            let file = try image.file(
                as: ImageEncoding(format: format), of: Self.request(embedsParameters),
                model: ImageRequestTests.model)
            // Nor anywhere else in the file.
            let isNamed = String(decoding: file, as: UTF8.self).contains("secret")
            if embedsParameters == false { #expect(!isNamed) }
            return try ImageDecoder.decode(file).metadata.parameters
        }
        #expect(try text(nil)?.contains("a secret cat") == true)
        #expect(try text(true)?.contains("a secret cat") == true)
        #expect(try text(false) == nil)
    }

    @Test("the choice travels with the request, and only where it is not the usual one")
    func coding() throws {
        for choice in [true, false] {
            let request = try Self.request(choice)
            let data = try JSONEncoder().encode(request)
            #expect(String(decoding: data, as: UTF8.self).contains("embed_parameters") != choice)
            #expect(try JSONDecoder().decode(ImageRequest.self, from: data) == request)
        }
        let request = try Self.request(false)
        #expect(!request.with(strength: 0.5).embedsParameters)
        #expect(!request.with(source: nil).embedsParameters)
    }
}
