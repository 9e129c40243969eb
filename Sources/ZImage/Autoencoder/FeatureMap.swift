// Part of Inkstone. Licence: see LICENSE.

import Tensors

/// Activations of an image on the device: one pixel a row, channels as columns.
struct FeatureMap<Device: Backend> {
    var values: Device.Values
    var height: Int
    var width: Int
}
