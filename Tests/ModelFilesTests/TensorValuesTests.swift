// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import Testing

/// What the numbers of tensors are found to be.
@Suite struct TensorValuesTests {
    private func values(_ numbers: NewTensor.Numbers, count: Int) throws -> TensorValues {
        let folder = try TemporaryFolder()
        let file = folder.url.appending(path: "a.safetensors")
        try SafetensorsFile.write([NewTensor("a", shape: [count], numbers)], to: file)
        return try TensorValues(
            of: try #require(try SafetensorsFile(url: file).tensor(named: "a")))
    }

    @Test("numbers that are none are counted, zeros and the largest magnitude too")
    func counts() throws {
        let found = try values(
            .f32([0, -3, .nan, .infinity, 2, -.infinity, -0, .signalingNaN]), count: 8)
        #expect(found.count == 8)
        #expect(found.nonFinite == 4)
        #expect(found.nonZero == 6)
        #expect(found.largest == 3)
    }

    @Test("a tensor of many parts is read whole", arguments: [262_144, 262_145, 1_000_003])
    func parts(count: Int) throws {
        var numbers = [Float](repeating: 0, count: count)
        numbers[0] = 1
        numbers[count - 1] = -7
        numbers[count / 2] = .nan
        let found = try values(.f32(numbers), count: count)
        #expect(found.count == count)
        #expect(found.nonZero == 3)
        #expect(found.nonFinite == 1)
        #expect(found.largest == 7)
    }

    @Test("16 bits and no elements")
    func others() throws {
        let half = try values(.bf16(rounding: [1.5, -.infinity]), count: 2)
        #expect(half.nonFinite == 1)
        #expect(half.largest == 1.5)
        #expect(try values(.f32([]), count: 0) == TensorValues())
    }

    @Test("integers are not weights")
    func integers() throws {
        #expect(throws: CheckpointError.self) { try values(.i32([1, 2]), count: 2) }
    }
}
