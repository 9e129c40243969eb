// Part of Inkstone. Licence: see LICENSE.

import Imaging
import Parameters

extension PixelSize {
    /// The size nearest to an image's that a model can generate: same aspect ratio, within the limits.
    init(fitting image: RGBImage, in limits: ModelLimits) {
        let scale = min(
            1, Double(limits.maximumWidth) / Double(image.width),
            Double(limits.maximumHeight) / Double(image.height))
        func snapped(_ side: Int, _ maximum: Int) -> Int {
            let unit = limits.sizeMultiple
            let units = (Double(side) * scale / Double(unit)).rounded()
            return min(maximum / unit * unit, max(unit, Int(units) * unit))
        }
        self.init(
            width: snapped(image.width, limits.maximumWidth),
            height: snapped(image.height, limits.maximumHeight))
    }
}
