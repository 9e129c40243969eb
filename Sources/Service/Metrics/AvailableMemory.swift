// Part of Inkstone. Licence: see LICENSE.

import ZImage

/// Bytes that the machine can give without swapping, or `nil` where the system does not report it.
package func availableMemory() -> Int? { MemoryPlan.availableBytes }
