// Part of Inkstone. Licence: see LICENSE.

public import Imaging

/// Makes the map that a ControlNet reads from an image, without a neural network.
///
/// Maps of other kinds, such as depth or poses, are made elsewhere and passed as they are (`none`).
public enum Preprocessor: String, Sendable, Codable, CaseIterable {
    /// The image is a map already.
    case none
    /// Edges by Canny's detector, white on black; thresholds of its hysteresis.
    case canny
    /// Luminance.
    case grey
    /// A Gaussian blur; its sigma.
    case blur
    /// The image for a tile net, which adds detail; the factor by which it is made smaller and larger again.
    case tile
    /// Lines as a difference of blurs (XDoG), white on black; their least contrast.
    case scribble
    /// White where the luminance is above a level.
    case threshold
    /// The complement, for black lines on white.
    case invert
    /// The control image is not read; the image to repaint is.
    case inpaint

    /// A number that a preprocessor takes.
    public struct Parameter: Sendable, Equatable {
        /// Name in the words of A1111's extension.
        public let name: String
        /// Used if none is given.
        public let standard: Double
        /// Permitted values.
        public let range: ClosedRange<Double>
    }

    /// The numbers that it takes, two at most.
    public var parameters: [Parameter] {
        switch self {
        case .canny:
            [
                Parameter(name: "Low Threshold", standard: 100, range: 1...2040),
                Parameter(name: "High Threshold", standard: 200, range: 1...2040),
            ]
        case .blur: [Parameter(name: "Sigma", standard: 9, range: 0.01...64)]
        case .tile: [Parameter(name: "Down Sampling Rate", standard: 1, range: 1...8)]
        case .scribble: [Parameter(name: "XDoG Threshold", standard: 32, range: 1...64)]
        case .threshold: [Parameter(name: "Binarization Threshold", standard: 127, range: 0...255)]
        case .none, .grey, .invert, .inpaint: []
        }
    }

    /// The name in A1111's extension.
    public var webUIName: String {
        switch self {
        case .none: "none"
        case .canny: "canny"
        case .grey: "grey"
        case .blur: "blur_gaussian"
        case .tile: "tile_resample"
        case .scribble: "scribble_xdog"
        case .threshold: "threshold"
        case .invert: "invert (from white bg & black line)"
        case .inpaint: "inpaint_only"
        }
    }

    /// Finds a preprocessor by its name here or in other programs, without regard to case.
    public init?(named name: String) {
        let name = name.lowercased()
        let aliases: [String: Preprocessor] = [
            "gray": .grey, "grayscale": .grey, "luminance": .grey, "blur_gaussian": .blur,
            "tile_resample": .tile, "scribble_xdog": .scribble, "xdog": .scribble,
            "invert (from white bg & black line)": .invert, "inpaint_only": .inpaint,
            "inpaint_global_harmonious": .inpaint, "binary": .threshold, "": .none,
        ]
        guard let found = Preprocessor(rawValue: name) ?? aliases[name] else { return nil }
        self = found
    }

    /// Makes the map of an image.
    ///
    /// Process at the size of the result: lines must be one pixel wide there.
    ///
    /// - Parameters:
    ///   - image: the image, in the size of the result.
    ///   - values: the numbers that the preprocessor takes; standard ones if absent.
    /// - Returns: a map of the same size.
    /// - Throws: `ImagingError`.
    public func map(
        of image: RGBImage, _ values: [Double?] = []
    ) throws(ImagingError) -> RGBImage {
        func value(_ index: Int) -> Double {
            let stated = values.indices.contains(index) ? values[index] : nil
            let parameter = parameters[index]
            let value = stated ?? parameter.standard
            return min(max(value, parameter.range.lowerBound), parameter.range.upperBound)
        }
        switch self {
        case .none, .inpaint: return image
        case .canny:
            let smooth = Gaussian.blurred(Raster(greyOf: image), sigma: 1.4, taps: 5)
            let (low, high) = (Int(value(0)), Int(value(1)))
            return try Canny.edges(of: smooth, low: min(low, high), high: max(low, high)).image()
        case .grey: return try Raster(greyOf: image).image()
        case .blur: return try Gaussian.blurred(Raster(image), sigma: value(0)).image()
        case .tile:
            let rate = value(0)
            if rate == 1 { return image }
            let small = try image.resized(
                width: max(1, Int(Double(image.width) / rate)),
                height: max(1, Int(Double(image.height) / rate)))
            return try small.resized(width: image.width, height: image.height)
        case .scribble: return try Self.lines(of: image, contrast: value(0))
        case .threshold:
            let level = value(0)
            return try Raster(greyOf: image).map { Double($0) > level ? 255 : 0 }.image()
        case .invert: return try Raster(image).map { 255 - $0 }.image()
        }
    }

    /// White where the wide blur of every channel is brighter than the narrow one by half the contrast.
    private static func lines(
        of image: RGBImage, contrast: Double
    ) throws(ImagingError) -> RGBImage {
        let exact = Raster(image).map { Float($0) }
        let narrow = Gaussian.blurred(exact, sigma: 0.5).numbers
        let wide = Gaussian.blurred(exact, sigma: 5).numbers
        var lines: [UInt8] = []
        lines.reserveCapacity(image.width * image.height)
        for at in stride(from: 0, to: wide.count, by: 3) {
            let least = (at..<(at + 3)).reduce(Float.infinity) { min($0, wide[$1] - narrow[$1]) }
            lines.append(2 * Double(least) > contrast ? 255 : 0)
        }
        return try Raster(
            width: image.width, height: image.height, channels: 1, lines
        ).image()
    }
}
