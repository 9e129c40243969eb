// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Testing
import ZImage

@Suite struct AdapterMetadataTests {
    private static let module = "layers.10.attention.to_q"
    private static let header = "lora_adapter_metadata in the header"

    private static func metadata(_ patterns: String) throws -> AdapterMetadata {
        try AdapterMetadata([
            "lora_adapter_metadata":
                "{\"transformer.lora_alpha\":8,\"transformer.alpha_pattern\":{\(patterns)}}"
        ])
    }

    private static func configuration(_ fields: String) throws -> AdapterMetadata {
        try AdapterMetadata([:], configuration: Array("{\(fields)}".utf8))
    }

    @Test(
        "the first pattern that matches gives alpha, the file's alpha where none does",
        arguments: [
            (#""to_q":2"#, 0.5), (#""to_q":2,"attention.to_q":16"#, 4),
            (#""to_q":2,"layers.10.attention.to_q":12,"10.attention.to_q":16"#, 4),
            (#""o_q":2,"0.attention.to_q":2,"attention":2,"layers":2,"":2,".to_q":2"#, 2),
            (#""to_q":"x""#, 2), ("", 2),
            (#""layers\\.\\d+\\.attention\\.to_(q|k)":1"#, 0.25),
            (#""^layers\\.10\\..*":6,"to_q":2"#, 1.5), (#""^attention.*":6"#, 2),
            (#""attention.[^.]*_q":20"#, 5), (#""10.*to_[k-v]":2"#, 0.5), (#""to_q(?=x)":20"#, 2),
        ])
    func firstPattern(patterns: String, ratio: Double) throws {
        #expect(try Self.metadata(patterns).scaling(module: Self.module, rank: 4).ratio == ratio)
    }

    @Test(
        "patterns that cannot be obeyed are reported",
        arguments: [#""to_q":"x""#, #""to_q(?=x)":20"#])
    func patternsWithoutEffect(patterns: String) throws {
        let warnings = try Self.metadata(patterns).warnings
        #expect(warnings.count == 1)
        #expect(warnings.first?.contains("'to_q") == true)
    }

    @Test("a root of the rank divides alpha where the file says so")
    func rootOfRank() throws {
        let metadata = try AdapterMetadata([
            "lora_adapter_metadata":
                #"{"transformer.lora_alpha":8,"transformer.use_rslora":true}"#
        ])
        #expect(metadata.scaling(module: Self.module, rank: 4).ratio == 4)
        let file = try Self.configuration(#""lora_alpha":6,"use_rslora":true,"r":9"#)
        #expect(file.scaling(module: Self.module, rank: 9).ratio == 2)
    }

    @Test(
        "entries of the header that are alpha itself",
        arguments: ["lora_alpha", "network_alpha", "alpha"])
    func plainNumbers(name: String) throws {
        let metadata = try AdapterMetadata([name: "16.0"])
        let scaling = metadata.scaling(module: Self.module, rank: 4)
        #expect(scaling == .init(ratio: 4, origin: "\(name) in the header"))
        #expect(
            try AdapterMetadata([name: "None"]).scaling(module: Self.module, rank: 4) == .init())
        #expect(try AdapterMetadata([name: "much"]).warnings.count == 1)
    }

    @Test("the configuration counts before the header, and what disagrees is known")
    func disagreement() throws {
        let metadata = try AdapterMetadata(
            [
                "lora_adapter_metadata": #"{"transformer.lora_alpha":4}"#, "alpha": "8",
                "network_alpha": "2",
            ], configuration: Array(#"{"lora_alpha":8}"#.utf8))
        let scaling = metadata.scaling(module: Self.module, rank: 4)
        #expect(scaling.ratio == 2)
        #expect(scaling.origin == "adapter_config.json")
        #expect(scaling.others == [Self.header: 1, "network_alpha in the header": 0.5])
    }

    @Test("the rank of the configuration counts only where the factors show none")
    func rankOfConfiguration() throws {
        let metadata = try Self.configuration(#""alpha":10,"r":5"#)
        #expect(metadata.scaling(module: Self.module, rank: 0).ratio == 2)
        #expect(metadata.scaling(module: Self.module, rank: 2).ratio == 5)
    }

    @Test(
        "an adapter that needs a changed model is reported",
        arguments: ["pissa", "pissa_niter_16", "olora", "loftq"])
    func changedModel(start: String) throws {
        let metadata = try Self.configuration(#""lora_alpha":4,"init_lora_weights":"\#(start)""#)
        #expect(metadata.warnings.contains { $0.contains(start) })
        #expect(try Self.configuration(#""init_lora_weights":"gaussian""#).warnings.isEmpty)
    }

    @Test(
        "without the text the ratio is 1; a damaged one is reported, a damaged configuration an error"
    )
    func withoutText() throws {
        #expect(try AdapterMetadata([:]).scaling(module: Self.module, rank: 4) == .init())
        let damaged = try AdapterMetadata(["lora_adapter_metadata": "{"])
        #expect(damaged.scaling(module: Self.module, rank: 4) == .init())
        #expect(damaged.warnings.count == 1)
        #expect(throws: CheckpointError.self) {
            try AdapterMetadata([:], configuration: Array("{".utf8))
        }
    }
}
