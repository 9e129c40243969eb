// Part of Inkstone. Licence: see LICENSE.

import Testing
import VulkanTensors

/// Machines without the library of Vulkan.
@Suite("Without the library of Vulkan there is one clear sentence")
struct LibraryTests {
    @Test("a library that is missing")
    func missing() {
        let error = #expect(throws: VulkanError.self) {
            try checkVulkan(library: "libvulkan-of-no-machine.so.9")
        }
        #expect(error?.code == .library)
        let text = error?.description ?? ""
        #expect(
            text.hasPrefix(
                "Vulkan is not available: libvulkan-of-no-machine.so.9 cannot be opened (")
        )
        #expect(
            text.contains("Install libvulkan1 and the driver of the graphics card, or use the CPU.")
        )
        #expect(!text.contains("\n"))
    }

    @Test("a library that is not one of Vulkan")
    func other() {
        let error = #expect(throws: VulkanError.self) { try checkVulkan(library: "libm.so.6") }
        #expect(error?.description.contains("it has no function vkGetInstanceProcAddr") == true)
    }
}
