// Part of Inkstone. Licence: see LICENSE.

import Basics
public import Foundation

/// A ControlNet by name, the map that it reads, and how strongly and in which steps it acts.
///
/// Maps have the size of the image and are stored as PNG files, so that they travel wherever the other
/// parameters do.
public struct ControlParameters: Sendable, Codable, Equatable {
    /// Name of the net.
    public var model: String
    /// Name of the preprocessor that made the map; `none` for one that was sent as it is.
    public var type: String
    /// The map as a PNG file; `nil` for a net that only repaints.
    public var map: Data?
    /// The image to repaint as a PNG file.
    public var source: Data?
    /// White where `source` is painted again, as a PNG file.
    public var mask: Data?
    /// Factor of the net's hints; 0 is off.
    public var strength = 1.0
    /// The share of the steps after which the net begins to act, 0...1.
    public var start = 0.0
    /// The share of the steps after which it no longer acts, 0...1.
    public var end = 1.0

    /// Names a net and the kind of its map; the other values are those of a net that acts throughout.
    public init(model: String, type: String = "none") {
        self.model = model
        self.type = type
    }

    /// Nets that may act on one image.
    static let maximumCount = 4
    /// Bytes of all files of one request.
    static let maximumBytes = 8 << 20

    /// Checks everything but whether the net exists.
    ///
    /// - Throws: `RequestError` that names the field, what was expected and the value received.
    func check() throws(RequestError) {
        guard LoRAScale.isName(model) else {
            throw RequestError(
                field: "controls",
                message: "the model of a control must be the name of a ControlNet of this server,"
                    + " got \(model.quoted).")
        }
        guard (0.0...10.0).contains(strength) else {
            throw RequestError(
                field: "controls",
                message: "the strength of ControlNet \(model.quoted) must be between 0 and 10, got"
                    + " \(strength).")
        }
        guard start >= 0, end <= 1, start <= end else {
            throw RequestError(
                field: "controls",
                message: "ControlNet \(model.quoted) must start and end between 0 and 1, and not"
                    + " end before it starts; got \(start) and \(end).")
        }
        guard (source == nil) == (mask == nil) else {
            throw RequestError(
                field: "controls",
                message: "ControlNet \(model.quoted) needs a mask beside the image to repaint, or"
                    + " neither.")
        }
    }

    /// Bytes of its files.
    var fileBytes: Int { [map, source, mask].reduce(0) { $0 + ($1?.count ?? 0) } }
}

extension [ControlParameters] {
    /// Checks the controls of a request.
    ///
    /// - Throws: `RequestError` that names the field, what was expected and the value received.
    package func check() throws(RequestError) {
        guard count <= ControlParameters.maximumCount else {
            throw RequestError(
                field: "controls",
                message: "controls must have at most \(ControlParameters.maximumCount) entries, got"
                    + " \(count).")
        }
        for control in self { try control.check() }
        let bytes = reduce(0) { $0 + $1.fileBytes }
        guard bytes <= ControlParameters.maximumBytes else {
            throw RequestError(
                field: "controls",
                message: "the maps of a request must take at most"
                    + " \(ControlParameters.maximumBytes >> 20) MiB as PNG files, got"
                    + " \(bytes >> 20) MiB; choose a smaller size or fewer controls.")
        }
    }
}
