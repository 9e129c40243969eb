// Part of Inkstone. Licence: see LICENSE.

/// The size of a picture in pixels.
public struct PixelSize: Sendable, Hashable, Codable, CustomStringConvertible {
    /// Columns.
    public var width: Int
    /// Rows.
    public var height: Int

    /// A size of the given number of columns and rows.
    public init(width: Int, height: Int) {
        self.width = width
        self.height = height
    }

    /// `1024x768`: width first, as clients write it.
    public var description: String { "\(width)x\(height)" }

    /// Reads `1024x768` or `1024*768`.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(omittingEmptySubsequences: false) { "xX*×".contains($0) }
        guard parts.count == 2, let width = Int(parts[0]), let height = Int(parts[1]) else {
            return nil
        }
        self.init(width: width, height: height)
    }
}
