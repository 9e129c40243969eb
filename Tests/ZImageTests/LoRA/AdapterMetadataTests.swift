// Part of Inkstone. Licence: see LICENSE.

import Testing
import ZImage

@Suite struct AdapterMetadataTests {
    private static let module = "layers.10.attention.to_q"

    private static func metadata(_ patterns: String) -> AdapterMetadata {
        AdapterMetadata([
            "lora_adapter_metadata":
                "{\"transformer.lora_alpha\":8,\"transformer.alpha_pattern\":{\(patterns)}}"
        ])
    }

    @Test(
        "the most specific pattern gives alpha, the file's alpha where none matches",
        arguments: [
            (#""to_q":2"#, 0.5), (#""to_q":2,"attention.to_q":16"#, 4),
            (#""to_q":2,"layers.10.attention.to_q":12,"10.attention.to_q":16"#, 3),
            (#""o_q":2,"0.attention.to_q":2,"attention":2,"layers":2,"":2,".to_q":2"#, 2),
            (#""to_q":"x""#, 2), ("", 2),
        ])
    func mostSpecificPattern(patterns: String, ratio: Double) {
        #expect(Self.metadata(patterns).ratio(module: Self.module, rank: 4) == ratio)
    }

    @Test("a root of the rank divides alpha where the file says so")
    func rootOfRank() {
        let metadata = AdapterMetadata([
            "lora_adapter_metadata":
                #"{"transformer.lora_alpha":8,"transformer.use_rslora":true}"#
        ])
        #expect(metadata.ratio(module: Self.module, rank: 4) == 4)
    }

    @Test("without the text, or with a damaged one, the ratio is 1")
    func withoutText() {
        #expect(AdapterMetadata([:]).ratio(module: Self.module, rank: 4) == 1)
        let damaged = AdapterMetadata(["lora_adapter_metadata": "{"])
        #expect(damaged.ratio(module: Self.module, rank: 4) == 1)
    }
}
