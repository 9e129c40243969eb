// Part of Inkstone. Licence: see LICENSE.

package import ModelFiles

// Operations for shares of a processor's peak: two a multiply-add, of products, convolutions and
// attention only. Norms, activations, embeddings and modulation are not counted. Convolutions count as
// nine products a pixel, of which a device may need fewer: the decoder's share may be above 1.

extension TransformerConfig {
    /// Operations of `blocks` blocks on one sequence.
    package func operations(tokens: Int, feedForward: Int, blocks: Int = 1) -> Int {
        let weights = 4 * dim * dim + 3 * dim * feedForward
        return blocks * (2 * tokens * weights + 4 * tokens * tokens * dim)
    }

    /// Operations of one evaluation; the caption's own blocks run once a prompt and are not in it.
    ///
    /// The last block works for the caption's tokens only as far as keys and values.
    package func stepOperations(imageTokens: Int, captionTokens: Int, feedForward: Int) -> Int {
        let tokens = imageTokens + captionTokens
        let leftOut =
            2 * captionTokens * (dim * dim + 3 * dim * feedForward)
            + 4 * captionTokens * tokens * dim
        return operations(tokens: imageTokens, feedForward: feedForward, blocks: refinerLayers)
            + operations(tokens: tokens, feedForward: feedForward, blocks: layers)
            - (layers > 0 ? leftOut : 0)
    }
}

extension TextEncoderConfig {
    /// Operations of the layers that run, on one prompt; a token sees half of the others.
    package func operations(tokens: Int) -> Int {
        let queries = attentionHeads * headDim
        let weights =
            hiddenSize * (2 * queries + 2 * keyValueHeads * headDim)
            + 3 * hiddenSize * intermediateSize
        return usedLayers * (2 * tokens * weights + 2 * tokens * tokens * queries)
    }
}

extension AutoencoderConfig {
    /// Operations of decoding latents of `height` x `width`.
    package func decodeOperations(height: Int, width: Int) -> Int {
        var pixels = height * width
        var total = 0
        func convolve(_ input: Int, _ output: Int, taps: Int = 9) {
            total += 2 * pixels * input * output * taps
        }
        func resnet(_ input: Int, _ output: Int) {
            convolve(input, output)
            convolve(output, output)
            if input != output { convolve(input, output, taps: 1) }
        }
        let last = blockOutChannels[blockOutChannels.count - 1]
        if usePostQuantConv { convolve(latentChannels, latentChannels, taps: 1) }
        convolve(latentChannels, last)
        resnet(last, last)
        resnet(last, last)
        if midBlockAddAttention {
            for _ in 0..<4 { convolve(last, last, taps: 1) }
            total += 4 * pixels * pixels * last
        }
        var channels = last
        for (index, output) in blockOutChannels.reversed().enumerated() {
            for _ in 0...layersPerBlock {
                resnet(channels, output)
                channels = output
            }
            if index + 1 < blockOutChannels.count {
                pixels *= 4
                convolve(channels, channels)
            }
        }
        convolve(channels, outChannels)
        return total
    }
}
