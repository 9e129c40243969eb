// Part of Inkstone. Licence: see LICENSE.

import Tensors

/// Decodes blocks of 32 or 256 numbers with their own scales, as in GGUF files.
///
/// - Source: ggml, `ggml-quants.c`, the functions `dequantize_row_*`.
struct BlockCoding: TensorCoding {
    let format: BlockFormat

    var name: String { format.name }
    var unit: Int { format.numbers }

    func decode(
        _ bytes: UnsafeRawBufferPointer, units: Range<Int>,
        into numbers: UnsafeMutablePointer<Float>
    ) {
        let (width, count) = (format.bytes, format.numbers)
        guard let start = bytes.baseAddress else { return }
        for unit in units {
            let block = Block(start: start + unit * width)
            let target = numbers + (unit - units.lowerBound) * count
            switch format {
            case .q4_0: block.nibbles(target, scale: block.half(0), from: 2, offset: -8)
            case .q4_1:
                block.nibbles(target, scale: block.half(0), from: 4, minimum: block.half(2))
            case .q5_0: block.fiveBits(target, scale: block.half(0), from: 2, offset: -16)
            case .q5_1:
                block.fiveBits(target, scale: block.half(0), from: 4, minimum: block.half(2))
            case .q8_0:
                let scale = block.half(0)
                for index in 0..<32 { target[index] = scale * Float(block.signed(2 + index)) }
            case .q2K: block.decodeQ2K(target)
            case .q3K: block.decodeQ3K(target)
            case .q4K: block.decodeQ4K(target)
            case .q5K: block.decodeQ5K(target)
            case .q6K: block.decodeQ6K(target)
            case .iq4NL:
                let scale = block.half(0)
                for index in 0..<16 {
                    target[index] = scale * Block.curve[block[2 + index] & 15]
                    target[index + 16] = scale * Block.curve[block[2 + index] >> 4]
                }
            case .iq4XS: block.decodeIQ4XS(target)
            case .f32, .f16, .bf16, .f64: preconditionFailure("plain numbers in blocks")
            }
        }
    }
}

/// The bytes of one block.
private struct Block {
    let start: UnsafeRawPointer

    typealias Numbers = UnsafeMutablePointer<Float>

    /// The values of the four-bit codes of IQ4.
    static let curve: [Float] = [
        -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
    ]

    subscript(offset: Int) -> Int { Int(start.load(fromByteOffset: offset, as: UInt8.self)) }

    func signed(_ offset: Int) -> Int8 { start.load(fromByteOffset: offset, as: Int8.self) }

    /// A binary16.
    func half(_ offset: Int) -> Float {
        Float(halfBits: UInt16(self[offset]) | UInt16(self[offset + 1]) << 8)
    }

    // MARK: Blocks of 32

    /// Low halves of 16 bytes, then their high halves.
    func nibbles(
        _ numbers: Numbers, scale: Float, from first: Int, offset: Int = 0, minimum: Float = 0
    ) {
        for index in 0..<16 {
            let byte = self[first + index]
            numbers[index] = scale * Float((byte & 15) + offset) + minimum
            numbers[index + 16] = scale * Float((byte >> 4) + offset) + minimum
        }
    }

    /// As `nibbles`, with the fifth bit of each number in four bytes before them.
    func fiveBits(
        _ numbers: Numbers, scale: Float, from first: Int, offset: Int = 0, minimum: Float = 0
    ) {
        for index in 0..<32 {
            let byte = self[first + 4 + index % 16]
            let low = index < 16 ? byte & 15 : byte >> 4
            let high = self[first + index / 8] >> (index % 8) & 1
            numbers[index] = scale * Float(low + (high << 4) + offset) + minimum
        }
    }

    // MARK: Blocks of 256

    func decodeQ2K(_ numbers: Numbers) {
        let (scale, minimum) = (half(80), half(82))
        for index in 0..<256 {
            let (part, within) = (index / 128, index % 128)
            let (shift, place) = (within / 32 * 2, within % 32)
            let packed = self[index / 16]
            let bits = self[16 + 32 * part + place] >> shift & 3
            numbers[index] =
                scale * Float(packed & 15) * Float(bits) - minimum * Float(packed >> 4)
        }
    }

    func decodeQ3K(_ numbers: Numbers) {
        let scale = half(108)
        for index in 0..<256 {
            let (part, within) = (index / 128, index % 128)
            let (quarter, place) = (within / 32, within % 32)
            let group = index / 16
            let low = group < 8 ? self[96 + group] & 15 : self[96 + group - 8] >> 4
            let high = self[104 + group % 4] >> (2 * (group / 4)) & 3
            let bits = self[32 + 32 * part + place] >> (2 * quarter) & 3
            let mask = self[place] >> (4 * part + quarter) & 1
            numbers[index] =
                scale * Float((low | high << 4) - 32) * Float(bits - (mask == 0 ? 4 : 0))
        }
    }

    /// Scale and minimum of sub-block `index` of Q4_K and Q5_K: six bits each, in the twelve bytes
    /// from 4 on.
    private func sixBits(_ index: Int) -> (scale: Float, minimum: Float) {
        func packed(_ offset: Int) -> Int { self[4 + offset] }
        guard index >= 4 else {
            return (Float(packed(index) & 63), Float(packed(index + 4) & 63))
        }
        let scale = packed(index + 4) & 15 | (packed(index - 4) >> 6) << 4
        let minimum = packed(index + 4) >> 4 | (packed(index) >> 6) << 4
        return (Float(scale), Float(minimum))
    }

    func decodeQ4K(_ numbers: Numbers) {
        let (d, dmin) = (half(0), half(2))
        for sub in 0..<8 {
            let (factor, least) = sixBits(sub)
            let (scale, minimum) = (d * factor, dmin * least)
            let (bytes, shift) = (16 + sub / 2 * 32, sub % 2 * 4)
            for index in 0..<32 {
                numbers[sub * 32 + index] =
                    scale * Float(self[bytes + index] >> shift & 15) - minimum
            }
        }
    }

    func decodeQ5K(_ numbers: Numbers) {
        let (d, dmin) = (half(0), half(2))
        for sub in 0..<8 {
            let (factor, least) = sixBits(sub)
            let (scale, minimum) = (d * factor, dmin * least)
            let (bytes, shift) = (48 + sub / 2 * 32, sub % 2 * 4)
            for index in 0..<32 {
                let low = self[bytes + index] >> shift & 15
                let high = self[16 + index] >> sub & 1
                numbers[sub * 32 + index] = scale * Float(low | high << 4) - minimum
            }
        }
    }

    func decodeQ6K(_ numbers: Numbers) {
        let d = half(208)
        for part in 0..<2 {
            let (lows, highs) = (64 * part, 128 + 32 * part)
            for quarter in 0..<4 {
                for index in 0..<32 {
                    let byte = self[lows + index + quarter % 2 * 32]
                    let low = quarter < 2 ? byte & 15 : byte >> 4
                    let high = self[highs + index] >> (2 * quarter) & 3
                    let scale = d * Float(signed(192 + 8 * part + 2 * quarter + index / 16))
                    numbers[128 * part + 32 * quarter + index] =
                        scale * Float((low | high << 4) - 32)
                }
            }
        }
    }

    func decodeIQ4XS(_ numbers: Numbers) {
        let d = half(0)
        let highs = self[2] | self[3] << 8
        for sub in 0..<8 {
            let low = self[4 + sub / 2] >> (sub % 2 * 4) & 15
            let scale = d * Float((low | (highs >> (2 * sub) & 3) << 4) - 32)
            for index in 0..<16 {
                let byte = self[8 + 16 * sub + index]
                numbers[32 * sub + index] = scale * Self.curve[byte & 15]
                numbers[32 * sub + index + 16] = scale * Self.curve[byte >> 4]
            }
        }
    }
}
