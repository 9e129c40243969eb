// Part of Inkstone. Licence: see LICENSE.

import CVulkan

/// Use of memory, which decides from which heap it is.
package enum MemoryUse: Sendable {
    /// Weights and activations, in the device's fastest memory.
    case device
    /// Memory that the host writes and the device reads.
    case upload
    /// Memory that the device writes and the host reads.
    case readback

    /// Whether the host can address it.
    package var isHostVisible: Bool { self != .device }
}

/// Types and heaps of a device's memory.
struct MemoryTypes: Sendable {
    private struct Kind {
        let index: UInt32
        let flags: VkFlags
        let heap: Int
    }

    private let kinds: [Kind]
    private let heapSizes: [UInt64]

    /// Reads the types of a device's memory.
    init(_ device: OpaquePointer, _ instance: VulkanInstance) {
        (kinds, heapSizes) = withArguments { memory in
            let all = memory.make(VkPhysicalDeviceMemoryProperties2.self) {
                $0.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2
            }
            instance.functions.vkGetPhysicalDeviceMemoryProperties2(device, all)
            let properties = all.pointee.memoryProperties
            let types = elements(of: properties.memoryTypes, as: VkMemoryType.self)
                .prefix(Int(properties.memoryTypeCount))
            let heaps = elements(of: properties.memoryHeaps, as: VkMemoryHeap.self)
                .prefix(Int(properties.memoryHeapCount))
            return (
                types.enumerated().map {
                    Kind(index: UInt32($0), flags: $1.propertyFlags, heap: Int($1.heapIndex))
                },
                heaps.map(\.size)
            )
        }
    }

    /// Returns the type for a use among the `allowed` ones, which are bits of their numbers.
    func type(for use: MemoryUse, allowed: UInt32 = .max) -> UInt32? {
        best(use, allowed)?.index
    }

    /// Number of the heap for weights and activations.
    var deviceHeap: Int? { best(.device, .max)?.heap }

    /// Size of that heap in bytes.
    var deviceHeapBytes: Int { deviceHeap.map { Int(clamping: heapSizes[$0]) } ?? 0 }

    private func best(_ use: MemoryUse, _ allowed: UInt32) -> Kind? {
        let host = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT
        let required = use.isHostVisible ? host : VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT
        let candidates = kinds.filter {
            allowed >> $0.index & 1 != 0 && $0.flags & required == required
        }
        // Among equals the first type, which the specification orders by speed.
        return candidates.max { (score($0, use), $1.index) < (score($1, use), $0.index) }
    }

    /// How well a type fits; more is better.
    private func score(_ kind: Kind, _ use: MemoryUse) -> UInt64 {
        let isCached = kind.flags & VK_MEMORY_PROPERTY_HOST_CACHED_BIT != 0
        let isLocal = kind.flags & VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT != 0
        return switch use {
        // Without resizable BAR, the part of the memory that the host sees is a small heap.
        case .device: heapSizes[kind.heap]
        case .upload: (isLocal ? 0 : 2) + (isCached ? 0 : 1)
        // Reads of memory that is not cached take a bus transaction each.
        case .readback: (isCached ? 2 : 0) + (isLocal ? 0 : 1)
        }
    }
}
