// Part of Inkstone. Licence: see LICENSE.

/// Splits latents into tokens of 2 x 2 pixels and joins them.
///
/// Tokens run row by row. Within a token the order is patch row, patch column, channel: the channel
/// runs fastest.
enum Patches {
    /// - Shapes: `[channels, height, width]` to `[height/2 * width/2, 4 * channels]`.
    static func split(
        _ latents: [Float], channels: Int, height: Int, width: Int
    ) -> [Float] {
        var tokens = [Float](repeating: 0, count: latents.count)
        visit(channels: channels, height: height, width: width) { token, latent in
            tokens[token] = latents[latent]
        }
        return tokens
    }

    /// The inverse of `split`.
    static func join(
        _ tokens: ArraySlice<Float>, channels: Int, height: Int, width: Int
    ) -> [Float] {
        var latents = [Float](repeating: 0, count: tokens.count)
        let start = tokens.startIndex
        visit(channels: channels, height: height, width: width) { token, latent in
            latents[latent] = tokens[start + token]
        }
        return latents
    }

    private static func visit(
        channels: Int, height: Int, width: Int, _ body: (_ token: Int, _ latent: Int) -> Void
    ) {
        var index = 0
        for y in 0..<(height / 2) {
            for x in 0..<(width / 2) {
                for (row, column) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                    for channel in 0..<channels {
                        body(index, (channel * height + 2 * y + row) * width + 2 * x + column)
                        index += 1
                    }
                }
            }
        }
    }
}
