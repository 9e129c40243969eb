// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import Testing
import ZImage

/// Counts of operations against the definition and against the shapes of the tensors.
@Suite("Operations are counted")
struct OperationCountTests {
    /// Products of a file: twice the numbers of every matrix that `keep` takes, for each token.
    private func perToken(_ specs: [TensorSpec], _ keep: (String) -> Bool) -> Int {
        specs.filter { $0.shape.count == 2 && keep($0.name) }
            .reduce(0) { $0 + 2 * $1.shape[0] * $1.shape[1] }
    }

    @Test("a block of Z-Image at 1088 tokens is what the peers' script counts")
    func block() {
        // Benchmarks/peers/time_peers.py: operations(1088).
        #expect(
            TransformerConfig().operations(tokens: 1088, feedForward: 10_240) == 403_219_415_040)
    }

    @Test("a step counts the blocks of the image and of the joint sequence")
    func step() {
        let config = TransformerConfig(
            dim: 64, layers: 3, refinerLayers: 2, heads: 4, axesDims: [4, 6, 6])
        let specs = config.tensorSpecs(feedForward: 96)
        func products(_ prefix: String) -> Int {
            perToken(specs) {
                $0.hasPrefix(prefix) && !$0.contains("adaLN") && !$0.contains("norm")
            }
        }
        let (image, caption) = (64, 32)
        let all = image + caption
        // The last block's captions serve as keys and values alone; queries come with the product.
        let lastOfCaption = perToken(specs) {
            $0.hasPrefix("layers.2.attention.to_") && !$0.contains("to_out")
        }
        let refiner = products("noise_refiner") * image + 2 * 4 * image * image * 64
        let whole = (products("layers.0") + products("layers.1")) * all + 2 * 4 * all * all * 64
        let last =
            products("layers.2") * image + lastOfCaption * caption + 4 * image * all * 64
        let expected = refiner + whole + last
        #expect(
            config.stepOperations(imageTokens: image, captionTokens: caption, feedForward: 96)
                == expected)
    }

    @Test("a prompt goes through all layers but the last, and sees half of itself")
    func text() {
        let config = TextEncoderConfig(
            vocabularySize: 10, hiddenSize: 32, intermediateSize: 48, hiddenLayers: 3,
            attentionHeads: 4, keyValueHeads: 2, headDim: 8)
        let products = perToken(config.tensorSpecs) { $0.hasPrefix("layers") }
        #expect(config.operations(tokens: 7) == 7 * products + 2 * (4 * 7 * 7 * 32) / 2)
    }

    @Test("the decoder's products are the kernels' numbers at each level's pixels")
    func decoder() {
        let config = AutoencoderConfig(
            latentChannels: 16, blockOutChannels: [32, 64], layersPerBlock: 2, useQuantConv: false,
            usePostQuantConv: false)
        func products(_ prefixes: [String]) -> Int {
            config.tensorSpecs.filter { spec in
                spec.shape.count >= 2 && prefixes.contains { spec.name.hasPrefix($0) }
            }.reduce(0) { $0 + 2 * $1.shape.reduce(1, *) }
        }
        let pixels = 6 * 4
        let coarse = products([
            "decoder.conv_in", "decoder.mid_block", "decoder.up_blocks.0.resnets",
        ])
        let fine = products([
            "decoder.up_blocks.0.upsamplers", "decoder.up_blocks.1", "decoder.conv_out",
        ])
        #expect(
            config.decodeOperations(height: 6, width: 4)
                == pixels * coarse + 4 * pixels * fine + 4 * pixels * pixels * 64)
    }
}
