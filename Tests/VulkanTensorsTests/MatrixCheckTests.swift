// Part of Inkstone. Licence: see LICENSE.

import Tensors
import Testing
import VulkanTensors

/// The check of matrix instructions when a device is opened.
@Suite("Matrix instructions are checked before they are used", .needsVulkan)
struct MatrixCheckTests {
    private static func shape(
        _ m: Int, _ n: Int, _ k: Int, _ element: MatrixShape.Element
    ) -> MatrixShape {
        let sum = element == .s8 ? MatrixShape.Element.s32 : .f32
        return MatrixShape(m: m, n: n, k: k, a: element, b: element, c: sum, result: sum)
    }

    @Test("right ones are used", .enabled(if: TestDevice.isSoftware))
    func right() throws {
        let device = try TestDevice.backend(
            precision: .int8,
            matrices: .fragments(
                int8: Self.shape(16, 16, 32, .s8), f16: Self.shape(16, 16, 16, .f16)))
        #expect(device.matrixFault == nil)
        #expect(!device.kernelsName.contains("without"))
    }

    @Test("wrong ones are not, and the results are those of other kernels")
    func wrong() throws {
        // The kernels load 16 bytes of a row at a time: fragments of 8 bytes read wrong ones.
        let device = try TestDevice.backend(
            precision: .int8,
            matrices: .fragments(
                int8: Self.shape(8, 8, 8, .s8), f16: Self.shape(16, 16, 16, .f16)))
        #expect(device.matrixFault?.contains("int8") == true)
        #expect(device.kernelsName.hasSuffix(", without matrix instructions"))
        let product = PrecisionTests.Product(rows: 13, depth: 33, columns: 65)
        let want = product(try CPUBackend(precision: .int8, threads: 2))
        #expect(product(device).map(\.bitPattern) == want.map(\.bitPattern))
    }
}
