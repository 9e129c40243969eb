// Part of Inkstone. Licence: see LICENSE.

/// Canny's edge detector on one 8-bit channel.
///
/// Gradients are Sobel's of 3 x 3, whose magnitude is the sum of the two absolute values; edges are thinned in four
/// directions, and followed from strong pixels through weak ones.
///
/// - Source: OpenCV 5.0.0, `modules/imgproc/src/canny.cpp`; checked by `ControlMapTests`.
enum Canny {
    /// Returns 255 on edges and 0 elsewhere.
    ///
    /// - Parameters:
    ///   - image: one channel.
    ///   - low: magnitude above which a pixel continues an edge.
    ///   - high: magnitude above which a pixel begins one.
    /// - Returns: one channel of the same size.
    static func edges(of image: Raster<UInt8>, low: Int, high: Int) -> Raster<UInt8> {
        precondition(image.channels == 1, "channels of Canny's image")
        let gradients = Gradients(image)
        var isEdge = [UInt8](repeating: 0, count: image.numbers.count)
        var open: [Int] = []
        var isWeak = [Bool](repeating: false, count: image.numbers.count)
        for y in 0..<image.height {
            for x in 0..<image.width where gradients.isMaximum(x, y, above: low) {
                let at = y * image.width + x
                isWeak[at] = true
                if gradients.magnitude(x, y) > high {
                    isEdge[at] = 255
                    open.append(at)
                }
            }
        }
        while let at = open.popLast() {
            let (x, y) = (at % image.width, at / image.width)
            for row in max(0, y - 1)...min(image.height - 1, y + 1) {
                for column in max(0, x - 1)...min(image.width - 1, x + 1) {
                    let next = row * image.width + column
                    if isWeak[next], isEdge[next] == 0 {
                        isEdge[next] = 255
                        open.append(next)
                    }
                }
            }
        }
        return Raster(width: image.width, height: image.height, channels: 1, isEdge)
    }

    /// Sobel's gradients; the image is continued by its edge.
    private struct Gradients {
        let width: Int
        let height: Int
        private var dx: [Int]
        private var dy: [Int]

        init(_ image: Raster<UInt8>) {
            let (width, height) = (image.width, image.height)
            (self.width, self.height) = (width, height)
            dx = [Int](repeating: 0, count: width * height)
            dy = dx
            for y in 0..<height {
                let rows = (max(0, y - 1) * width, y * width, min(height - 1, y + 1) * width)
                for x in 0..<width {
                    let (left, right) = (max(0, x - 1), min(width - 1, x + 1))
                    func level(_ row: Int, _ column: Int) -> Int {
                        Int(image.numbers[row + column])
                    }
                    let at = rows.1 + x
                    dx[at] =
                        level(rows.0, right) - level(rows.0, left)
                        + 2 * (level(rows.1, right) - level(rows.1, left))
                        + level(rows.2, right) - level(rows.2, left)
                    dy[at] =
                        level(rows.2, left) - level(rows.0, left)
                        + 2 * (level(rows.2, x) - level(rows.0, x))
                        + level(rows.2, right) - level(rows.0, right)
                }
            }
        }

        /// 0 outside of the image.
        func magnitude(_ x: Int, _ y: Int) -> Int {
            guard x >= 0, x < width, y >= 0, y < height else { return 0 }
            return abs(dx[y * width + x]) + abs(dy[y * width + x])
        }

        /// Whether a pixel is the largest across its edge.
        func isMaximum(_ x: Int, _ y: Int, above low: Int) -> Bool {
            let own = magnitude(x, y)
            guard own > low else { return false }
            let (gx, gy) = (dx[y * width + x], dy[y * width + x])
            // tan(22.5°) in units of 2^-15.
            let slope = abs(gx) * 13_573
            let rise = abs(gy) << 15
            if rise < slope {
                return own > magnitude(x - 1, y) && own >= magnitude(x + 1, y)
            }
            if rise > slope + abs(gx) << 16 {
                return own > magnitude(x, y - 1) && own >= magnitude(x, y + 1)
            }
            let side = (gx ^ gy) < 0 ? -1 : 1
            return own > magnitude(x - side, y - 1) && own > magnitude(x + side, y + 1)
        }
    }
}
