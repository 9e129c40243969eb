// Part of Inkstone. Licence: see LICENSE.

package import ModelFiles

extension AutoencoderConfig {
    /// Picture pixels along one side of a latent pixel.
    package var scale: Int { 1 << (blockOutChannels.count - 1) }

    /// Names and shapes of all tensors of encoder and decoder.
    package var tensorSpecs: [TensorSpec] {
        var specs: [TensorSpec] = []
        func convolution(_ name: String, _ input: Int, _ output: Int, _ kernel: Int = 3) {
            specs.append(TensorSpec(name + ".weight", [output, input, kernel, kernel]))
            specs.append(TensorSpec(name + ".bias", [output]))
        }
        func vectorPair(_ name: String, _ width: Int) {
            specs.append(TensorSpec(name + ".weight", [width]))
            specs.append(TensorSpec(name + ".bias", [width]))
        }
        func resnet(_ name: String, _ input: Int, _ output: Int) {
            vectorPair(name + ".norm1", input)
            convolution(name + ".conv1", input, output)
            vectorPair(name + ".norm2", output)
            convolution(name + ".conv2", output, output)
            if input != output { convolution(name + ".conv_shortcut", input, output, 1) }
        }
        func middle(_ name: String, _ width: Int) {
            resnet(name + ".resnets.0", width, width)
            resnet(name + ".resnets.1", width, width)
            guard midBlockAddAttention else { return }
            vectorPair(name + ".attentions.0.group_norm", width)
            for part in ["to_q", "to_k", "to_v", "to_out.0"] {
                specs.append(
                    TensorSpec("\(name).attentions.0.\(part).weight", [width, width]))
                specs.append(TensorSpec("\(name).attentions.0.\(part).bias", [width]))
            }
        }
        let blocks = blockOutChannels
        let (first, last) = (blocks[0], blocks[blocks.count - 1])

        convolution("encoder.conv_in", inChannels, first)
        var width = first
        for (index, output) in blocks.enumerated() {
            for layer in 0..<layersPerBlock {
                resnet("encoder.down_blocks.\(index).resnets.\(layer)", width, output)
                width = output
            }
            if index + 1 < blocks.count {
                convolution("encoder.down_blocks.\(index).downsamplers.0.conv", width, width)
            }
        }
        middle("encoder.mid_block", last)
        vectorPair("encoder.conv_norm_out", last)
        convolution("encoder.conv_out", last, 2 * latentChannels)
        if useQuantConv { convolution("quant_conv", 2 * latentChannels, 2 * latentChannels, 1) }

        if usePostQuantConv { convolution("post_quant_conv", latentChannels, latentChannels, 1) }
        convolution("decoder.conv_in", latentChannels, last)
        middle("decoder.mid_block", last)
        width = last
        for (index, output) in blocks.reversed().enumerated() {
            for layer in 0...layersPerBlock {
                resnet("decoder.up_blocks.\(index).resnets.\(layer)", width, output)
                width = output
            }
            if index + 1 < blocks.count {
                convolution("decoder.up_blocks.\(index).upsamplers.0.conv", width, width)
            }
        }
        vectorPair("decoder.conv_norm_out", first)
        convolution("decoder.conv_out", first, outChannels)
        return specs
    }
}
