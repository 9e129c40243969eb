// Part of Inkstone. Licence: see LICENSE.

public import ControlMaps
import Foundation
public import Imaging
public import Parameters

/// A control as a client states it: pixels, and how they become the map that a ControlNet reads.
public struct ControlInput: Sendable, Equatable {
    /// Name of the net.
    public var model: String
    /// What makes the map.
    public var type: Preprocessor
    /// The numbers that the preprocessor takes; `nil` for the standard ones.
    public var values: [Double?] = []
    /// How images of another shape are brought to the size of the result.
    public var fitting = Fitting.stretch
    /// The image that the map is made of.
    public var image: RGBImage?
    /// The image to repaint, for nets of version 2; `image` if only a mask is given.
    public var source: RGBImage?
    /// White where the image to repaint is painted again.
    public var mask: RGBImage?
    /// Factor of the net's hints; 0 is off.
    public var strength = 1.0
    /// The share of the steps after which the net begins to act, 0...1.
    public var start = 0.0
    /// The share of the steps after which it no longer acts, 0...1.
    public var end = 1.0

    /// Names a net, what makes its map, and the image that it is made of.
    public init(model: String, type: Preprocessor = .none, image: RGBImage? = nil) {
        self.model = model
        self.type = type
        self.image = image
    }

    /// Makes the map for an image of the given size.
    ///
    /// - Parameters:
    ///   - size: Columns and rows of the image.
    ///   - shown: The part of it, from the upper left, that the map is for; `nil` is the whole.
    /// - Returns: The control with its map.
    /// - Throws: `RequestError` for a control without the images that its type needs, `ImagingError`.
    public func parameters(
        for size: PixelSize, shown: PixelSize? = nil
    ) throws -> ControlParameters {
        let part = shown ?? size
        func fitted(_ image: RGBImage) throws(ImagingError) -> RGBImage {
            try fitting.fitted(image, width: part.width, height: part.height)
                .extended(width: size.width, height: size.height)
        }
        func file(_ image: RGBImage) throws(ImagingError) -> Data {
            Data(try ImageEncoder.encode(image))
        }
        var parameters = ControlParameters(model: model, type: type.rawValue)
        parameters.strength = strength
        parameters.start = start
        parameters.end = end
        if type == .inpaint {
            guard let source = source ?? image, let mask else {
                throw RequestError(
                    field: "controls",
                    message: "a control of type inpaint needs an image to repaint and a mask.")
            }
            parameters.source = try file(try fitted(source))
            parameters.mask = try file(try fitted(mask))
            return parameters
        }
        guard let image else {
            throw RequestError(
                field: "controls",
                message: "a control of type \(type.rawValue) needs an image, got none.")
        }
        guard (source == nil) == (mask == nil) else {
            throw RequestError(
                field: "controls",
                message: "a control of type \(type.rawValue) that also repaints needs both an"
                    + " image to repaint and a mask.")
        }
        parameters.map = try file(try type.map(of: try fitted(image), values))
        if let source, let mask {
            parameters.source = try file(try fitted(source))
            parameters.mask = try file(try fitted(mask))
        }
        return parameters
    }
}

extension ImageRequest {
    /// Returns the same request with other controls.
    ///
    /// - Throws: `RequestError` that names the field, what was expected and the value received.
    package func with(controls: [ControlParameters]) throws(RequestError) -> ImageRequest {
        try controls.check()
        var changed = parameters
        changed.controls = controls
        return with(changed, source: source)
    }

    /// Returns the same request with its controls by name alone, whose files travel apart.
    ///
    /// - Throws: `RequestError` for controls that are invalid without them.
    package func withoutControlFiles() throws(RequestError) -> ImageRequest {
        guard !parameters.controls.isEmpty else { return self }
        return try with(
            controls: parameters.controls.map { control in
                var control = control
                (control.map, control.source, control.mask) = (nil, nil, nil)
                return control
            })
    }
}
