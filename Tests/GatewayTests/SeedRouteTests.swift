// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Gateway
import HTTPTypes
import Parameters
import Testing

/// Seeds of 64 bits in every dialect.
@Suite("Seeds over HTTP", .timeLimit(.minutes(5)))
struct SeedRouteTests {
    /// Seeds as JSON, with the values that they stand for.
    private static let seeds: [(json: String, seed: UInt64)] = [
        ("0", 0), ("4294967303", 4_294_967_303), ("9007199254740993", 9_007_199_254_740_993),
        ("9223372036854775808", 1 << 63), ("18446744073709551615", .max),
        (#""13835058055282163712""#, 13_835_058_055_282_163_712), (#"" 7 ""#, 7), ("[8]", 8),
        (#"["18446744073709551614"]"#, .max - 1), ("5.0", 5), ("1e3", 1000),
    ]

    @Test("every dialect reads and answers them without loss")
    func dialects() async throws {
        let generator = try FakeGenerator()
        try await withGateway(generator) { client in
            for (json, seed) in Self.seeds {
                let images = try await client.post(
                    "/v1/images/generations",
                    #"{"prompt": "p", "n": 2, "response_format": "b64_json", "seed": \#(json)}"#)
                let next = seed &+ 1
                #expect(images.text.contains("\"seed\":\(seed),"), "\(json)")
                #expect(images.text.contains("\"seed\":\(next),"), "\(json)")
                let job = try await client.post(
                    "/api/jobs", #"{"prompt": "p", "seed": \#(json)}"#)
                #expect(job.text.contains("\"seed\":\(seed),"), "\(json)")
                let a1111 = try await client.post(
                    "/sdapi/v1/txt2img", #"{"prompt": "p", "n_iter": 2, "seed": \#(json)}"#)
                #expect(a1111.text.contains("\"seed\":\(seed),"), "\(json)")
                #expect(a1111.text.contains("\\\"all_seeds\\\":[\(seed),\(next)]"), "\(json)")
                let call = try await client.post(
                    "/gradio_api/call/generate", #"{"data": ["p", "", \#(json)]}"#)
                let event = try #require(try call.object()["event_id"] as? String)
                let gallery = try await client.get("/gradio_api/call/generate/\(event)")
                #expect(gallery.text.contains("\"caption\":\"seed \(seed)\""), "\(json)")
                #expect(gallery.text.contains(",\(seed)]"), "\(json)")
            }
        }
        #expect(
            generator.requests.map(\.seed)
                == Self.seeds.flatMap { Array(repeating: $0.seed, count: 4) })
    }

    @Test("seeds below zero, empty ones and none are chosen at random")
    func random() async throws {
        let generator = try FakeGenerator()
        let stated = ["-1", "-7", "-9223372036854775809", #""-3""#, #""""#, "null"]
        try await withGateway(generator) { client in
            for path in ["/v1/images/generations", "/sdapi/v1/txt2img"] {
                for json in stated {
                    let body = #"{"prompt": "p", "seed": \#(json), "subseed": \#(json)}"#
                    let answer = try await client.post(path, body)
                    #expect(answer.status == .ok, "\(json)")
                }
            }
        }
        let seeds = generator.requests.map(\.seed)
        #expect(seeds.count == 2 * stated.count && Set(seeds).count > seeds.count / 2)
        #expect(seeds.allSatisfy { $0 < 1 << 31 })
    }

    @Test(
        "what is not a seed is refused with the range",
        arguments: [
            "18446744073709551616", "1.5", #""x""#, #""1e400""#, "[1, 2]", "[]", "{}", "1e300",
            #""-""#, #""+ 1""#, #""0x10""#,
        ])
    func refused(json: String) async throws {
        try await withGateway(try FakeGenerator()) { client in
            for (field, body) in [
                ("seed", #"{"prompt": "p", "seed": \#(json)}"#),
                ("variation_seed", #"{"prompt": "p", "variation_seed": \#(json)}"#),
            ] {
                let answer = try await client.post("/v1/images/generations", body)
                #expect(answer.status == .badRequest)
                let error = try answer.error()
                #expect(error["param"] == field)
                #expect(error["message"]?.contains("0 to 18446744073709551615") == true)
            }
        }
    }

    @Test("the answer says which shorter seed makes the same images, and only then")
    func sameNoise() async throws {
        try await withGateway(try FakeGenerator()) { client in
            for (seed, short) in [
                ("4294967295", nil), ("4294967296", "0"), ("18446744073709551615", "4294967295"),
                ("7", nil),
            ] {
                let answer = try await client.post(
                    "/v1/images/generations", #"{"prompt": "p", "seed": \#(seed)}"#)
                let warnings = try answer.object()["warnings"] as? [String]
                #expect((warnings == nil) == (short == nil), "\(seed)")
                if let short {
                    #expect(warnings?.first?.contains("same images as seed \(short):") == true)
                }
            }
        }
    }
}
