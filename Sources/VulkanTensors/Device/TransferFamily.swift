// Part of Inkstone. Licence: see LICENSE.

import CVulkan

/// The queue family of a device for copies of weights beside its kernels.
package enum TransferFamily {
    /// Returns the first family, by its capabilities, with transfers and at most sparse memory beside them, or `nil`.
    ///
    /// Other families that can transfer also compute, draw or decode video: their copies may take the units that
    /// kernels run on.
    package static func index(among capabilities: [UInt32]) -> Int? {
        let allowed = VK_QUEUE_TRANSFER_BIT | VK_QUEUE_SPARSE_BINDING_BIT
        return capabilities.firstIndex { $0 & VK_QUEUE_TRANSFER_BIT != 0 && $0 & ~allowed == 0 }
    }
}
