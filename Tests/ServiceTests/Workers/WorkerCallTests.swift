// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Imaging
import Parameters
import Service
import Testing

/// Calls of workers, between programs of different versions.
@Suite struct WorkerCallTests {
    /// A call as workers of format version 1 declare it.
    private struct FirstVersion: Codable, Equatable {
        struct Source: Codable, Equatable {
            var width: Int
            var height: Int
            var strength: Double
            var mask: PixelSize?
        }

        var prompt: String
        var negativePrompt: String
        var width: Int
        var height: Int
        var steps: Int
        var guidanceScale: Double
        var cfgNormalization: Double
        var cfgTruncation: Double
        var seed: UInt64
        var count: Int
        var source: Source?
        var loras: [LoRAScale]
        var priority: Priority
    }

    private static let first = FirstVersion(
        prompt: "一只猫", negativePrompt: "blur", width: 64, height: 32, steps: 4,
        guidanceScale: 2.5, cfgNormalization: 1, cfgTruncation: 0.75, seed: 1 << 53 + 1, count: 2,
        source: .init(
            width: 3, height: 2, strength: 0.5, mask: PixelSize(width: 1, height: 2)),
        loras: [LoRAScale("pixel", scale: -0.5)], priority: .high)

    private static func request() throws -> ImageRequest {
        var parameters = SamplingParameters(
            prompt: first.prompt, size: PixelSize(width: first.width, height: first.height),
            steps: first.steps)
        parameters.negativePrompt = first.negativePrompt
        parameters.guidanceScale = first.guidanceScale
        parameters.cfgNormalization = first.cfgNormalization
        parameters.cfgTruncation = first.cfgTruncation
        parameters.seed = first.seed
        parameters.strength = 0.5
        parameters.loras = first.loras
        return ImageRequest(
            parameters: parameters, count: first.count,
            source: .init(
                image: try RGBImage(width: 3, height: 2, pixels: (0..<18).map { UInt8($0) }),
                mask: try RGBImage(width: 1, height: 2, pixels: (18..<24).map { UInt8($0) })),
            priority: first.priority)
    }

    @Test("a worker of format version 1 reads today's calls")
    func forward() throws {
        let request = try Self.request()
        let json = try JSONEncoder().encode(WorkerCall(request))
        #expect(try JSONDecoder().decode(FirstVersion.self, from: json) == Self.first)
        #expect(WorkerCall.pixels(of: request) == (0..<24).map { UInt8($0) })
    }

    @Test("calls of format version 1 are read")
    func backward() throws {
        let json = try JSONEncoder().encode(Self.first)
        let call = try JSONDecoder().decode(WorkerCall.self, from: json)
        #expect(try call.request(pixels: (0..<24).map { UInt8($0) }) == (try Self.request()))
    }

    @Test("a call comes back as it was, with and without a source")
    func roundTrip() throws {
        for request in [try Self.request(), try Self.request().with(source: nil)] {
            let json = try JSONEncoder().encode(WorkerCall(request))
            let call = try JSONDecoder().decode(WorkerCall.self, from: json)
            #expect(try call.request(pixels: WorkerCall.pixels(of: request)) == request)
        }
    }

    @Test("pixels that are fewer or more than the sizes say are refused", arguments: [0, 23, 25])
    func lengths(count: Int) throws {
        let json = try JSONEncoder().encode(WorkerCall(try Self.request()))
        let call = try JSONDecoder().decode(WorkerCall.self, from: json)
        #expect(throws: ImagingError.self) {
            try call.request(pixels: [UInt8](repeating: 0, count: count))
        }
    }

    @Test("a call that needs a newer version is refused with both versions")
    func newer() throws {
        let json = try JSONEncoder().encode(WorkerCall(try Self.request()))
        var object = try #require(
            try JSONSerialization.jsonObject(with: json) as? [String: Any])
        object["version"] = SamplingParameters.formatVersion + 1
        object["future"] = "a field that this program does not know"
        let newer = try JSONSerialization.data(withJSONObject: object)
        let error = #expect(throws: DecodingError.self) {
            try JSONDecoder().decode(WorkerCall.self, from: newer)
        }
        let needed = "needs version \(SamplingParameters.formatVersion + 1) of the format"
        #expect("\(try #require(error))".contains(needed))
        object["version"] = SamplingParameters.formatVersion
        let known = try JSONSerialization.data(withJSONObject: object)
        _ = try JSONDecoder().decode(WorkerCall.self, from: known)
    }
}
