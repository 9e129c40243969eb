// Part of Inkstone. Licence: see LICENSE.

public import Foundation
public import Imaging
import Tensors

/// A ControlNet, what it reads, and how strongly and in which steps it acts.
public struct ControlSource: Sendable, Equatable {
    /// An image of which a part is to be painted again.
    public struct Repaint: Sendable, Equatable {
        /// The image; resized to the size of the result.
        public var image: RGBImage
        /// White where it is painted again; resized to the size of the result.
        public var mask: RGBImage

        /// Paints `image` again where `mask` is white.
        public init(image: RGBImage, mask: RGBImage) {
            self.image = image
            self.mask = mask
        }
    }

    /// The net: a file, or a folder in the diffusers layout.
    public var url: URL
    /// The map that the image follows, such as white edges on black; resized to the size of the result.
    public var image: RGBImage?
    /// The image to repaint, for nets of version 2.
    public var repaint: Repaint?
    /// Factor of the net's hints; 0 is off.
    public var strength: Double
    /// The share of the steps after which the net begins to act, 0...1.
    public var start: Double
    /// The share of the steps after which it no longer acts, 0...1.
    public var end: Double

    /// Creates a source; `image` or `repaint` is needed.
    public init(
        url: URL, image: RGBImage? = nil, repaint: Repaint? = nil, strength: Double = 1,
        start: Double = 0, end: Double = 1
    ) {
        self.url = url
        self.image = image
        self.repaint = repaint
        self.strength = strength
        self.start = start
        self.end = end
    }

    /// Name of the net: that of its file without the ending.
    package var name: String { LoRASource.name(of: url.lastPathComponent[...]) }
}

/// A ControlNet's inputs, and the steps in which it acts.
struct ScheduledControl<Device: Backend>: Sendable {
    /// One for each tile that is evaluated, else one.
    let inputs: [ControlNet<Device>.Input]
    /// Shares of the steps.
    let range: ClosedRange<Double>

    /// Whether it acts in step `step` of `steps`, counted from 0, as A1111's extension decides.
    func applies(at step: Int, of steps: Int) -> Bool {
        inputs.first?.strength != 0 && range.contains(Double(step) / Double(max(1, steps)))
    }
}
