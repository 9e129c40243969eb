// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import Tensors
import Testing

@Suite struct StoredTensorTests {
    private func tensor<Bits>(_ dtype: DType, _ bits: [Bits]) -> StoredTensor {
        // An odd address: nothing promises alignment in a mapped file.
        let bytes = bits.withUnsafeBytes { NSData(data: Data([0]) + Data($0)) }
        let all = UnsafeRawBufferPointer(start: bytes.bytes, count: bytes.length)
        return StoredTensor(
            name: "t", dtype: dtype, shape: [bits.count],
            bytes: UnsafeRawBufferPointer(rebasing: all.dropFirst()), owner: Box(bytes))
    }

    private final class Box: @unchecked Sendable {
        // Unchecked: the data is never changed.
        let data: NSData
        init(_ data: NSData) { self.data = data }
    }

    #if !(os(macOS) && arch(x86_64))
        @Test("all 65,536 half-precision numbers, denormals included, are exact")
        func halves() throws {
            let bits = (0...UInt16.max).map { $0 }
            let floats = try tensor(.f16, bits).floats()
            for (bits, float) in zip(bits, floats) {
                let expected = Float(Float16(bitPattern: bits))
                #expect(
                    expected.isNaN ? float.isNaN : float.bitPattern == expected.bitPattern,
                    "\(bits)")
            }
        }
    #endif

    @Test("the smallest and largest half-precision numbers") func halfExtremes() throws {
        let numbers = try tensor(
            .f16, [0x0001, 0x03FF, 0x0400, 0x7BFF, 0x8001, 0x7C00] as [UInt16]
        )
        .floats()
        #expect(
            numbers == [
                0x1p-24, 0x3FFp-24, 0x1p-14, 65504, -0x1p-24, .infinity,
            ])
    }

    @Test("the other float types") func floats() throws {
        #expect(
            try tensor(.bf16, [0x3F80, 0xC040, 0x7F80] as [UInt16]).floats() == [1, -3, .infinity])
        #expect(try tensor(.f32, [1.5, -0.25] as [Float]).floats() == [1.5, -0.25])
        #expect(try tensor(.f64, [1e300, 0.1] as [Double]).floats() == [.infinity, Float(0.1)])
        #expect(try tensor(.f32, [0, 1, 2, 3] as [Float]).floats(in: 1..<3) == [1, 2])
    }

    @Test("integer types") func integers() throws {
        #expect(try tensor(.i64, [-1, 2_147_483_647] as [Int64]).int32s() == [-1, .max])
        #expect(try tensor(.i32, [.min, 7] as [Int32]).int32s() == [.min, 7])
        #expect(try tensor(.i16, [-2] as [Int16]).int32s() == [-2])
        #expect(try tensor(.i8, [-3] as [Int8]).int32s() == [-3])
        #expect(try tensor(.u8, [255] as [UInt8]).int32s() == [255])
        #expect(
            try failure { try tensor(.i64, [1 << 40] as [Int64]).int32s() }.code == .badTensor)
    }

    @Test(
        "types without a conversion are refused",
        arguments: [DType.f8E4M3, .f8E5M2, .f8E8M0, .u8, .bool, .i8])
    func refusesOthers(dtype: DType) throws {
        let error = try failure { try tensor(dtype, [1] as [UInt8]).floats() }
        #expect(error.code == .badTensor && error.message.contains(dtype.rawValue))
    }

    @Test("every number type has the width that its name says") func widths() {
        for dtype in DType.allCases where dtype != .bool {
            let digits = dtype.rawValue.drop { !$0.isNumber }.prefix { $0.isNumber }
            #expect(dtype.byteWidth * 8 == Int(digits))
        }
        #expect(DType.bool.byteWidth == 1)
    }
}
