// Part of Inkstone. Licence: see LICENSE.

import CKernels

extension Float {
    /// Converts the bits of a binary16 number; exact.
    ///
    /// `Float16` is not available on all platforms.
    package init(halfBits bits: UInt16) { self = ink_f32_from_f16(bits) }
}
