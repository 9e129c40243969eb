// Part of Inkstone. Licence: see LICENSE.

/// Overlapping tiles of one size that cover an image.
public struct TileGrid: Sendable, Equatable {
    /// Columns and rows of pixels of each tile.
    public let tile: PixelSize
    /// First columns of the tiles, ascending.
    public let columns: [Int]
    /// First rows of the tiles, ascending.
    public let rows: [Int]

    /// Covers an image with tiles of at most `side` x `side` pixels that share `overlap` pixels with their neighbours; the
    /// last ones, which end with the image, share more.
    public init(covering size: PixelSize, side: Int, overlap: Int) {
        tile = PixelSize(width: min(side, size.width), height: min(side, size.height))
        columns = Self.starts(length: size.width, side: side, overlap: overlap)
        rows = Self.starts(length: size.height, side: side, overlap: overlap)
    }

    /// Number of tiles.
    public var count: Int { columns.count * rows.count }

    private static func starts(length: Int, side: Int, overlap: Int) -> [Int] {
        guard side < length else { return [0] }
        return Array(stride(from: 0, to: length - side, by: max(1, side - overlap)))
            + [length - side]
    }
}

extension SecondPass {
    /// Tiles that a pass is evaluated in, one after the other, so that an evaluation takes the memory of a tile.
    public struct Tiles: Sendable, Codable, Equatable {
        /// Columns and rows of pixels of a tile.
        public var side: Int
        /// Pixels that neighbours share; their outputs are blended there.
        public var overlap: Int

        /// Tiles of `side` x `side` pixels.
        public init(side: Int, overlap: Int) {
            self.side = side
            self.overlap = overlap
        }

        /// Tiles whose overlap, if it is not stated, is an eighth of their side in whole units.
        init(side: Int, overlap: Int?, unit: Int) {
            self.init(side: side, overlap: overlap ?? max(1, side / 8 / unit) * unit)
        }

        /// Times that the sides of a pass in tiles may exceed the model's limits.
        static let factor = 4
        /// The largest side of a pass in tiles.
        static let largestSide = 8192
        /// Pixels of the result, as many as an uploaded image may have.
        static let maximumPixels = 32_000_000
        /// Tiles of one pass.
        static let maximumCount = 256
    }

    /// The tiles of the pass; one of its whole size if it is not divided.
    public var grid: TileGrid {
        TileGrid(
            covering: size, side: tiles?.side ?? max(size.width, size.height),
            overlap: tiles?.overlap ?? 0)
    }

    /// The largest side that the pass may have where the model's limit is `limit`.
    func largestSide(_ limit: Int) -> Int {
        tiles == nil ? limit : max(limit, min(limit * Tiles.factor, Tiles.largestSide))
    }

    func checkTiles(_ limits: ModelLimits) throws(RequestError) {
        guard let tiles else { return }
        func wrong(_ what: String) -> RequestError {
            RequestError(field: "hires.tiles", message: "hires.tiles must \(what).")
        }
        let (unit, limit) = (
            limits.sizeMultiple, min(limits.maximumWidth, limits.maximumHeight)
        )
        guard tiles.side.isMultiple(of: unit), (2 * unit...limit).contains(tiles.side) else {
            throw wrong(
                "have a side that is a multiple of \(unit) between \(2 * unit) and \(limit), got"
                    + " \(tiles.side)")
        }
        guard tiles.overlap.isMultiple(of: unit), (0...tiles.side / 2).contains(tiles.overlap)
        else {
            throw wrong(
                "overlap by a multiple of \(unit) up to half of their side, \(tiles.side / 2), got"
                    + " \(tiles.overlap)")
        }
        guard size.width * size.height <= Tiles.maximumPixels else {
            throw RequestError(
                field: "hires",
                message: "hires must have at most \(Tiles.maximumPixels) pixels, got \(size).")
        }
        guard grid.count <= Tiles.maximumCount else {
            throw wrong(
                "divide the image into at most \(Tiles.maximumCount), got \(grid.count); choose"
                    + " larger tiles or a smaller overlap")
        }
    }
}
