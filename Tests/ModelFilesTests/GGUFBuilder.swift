// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// Writes GGUF files, good ones and others.
struct GGUFBuilder {
    enum Value {
        case integer(UInt32)
        case text(String)
        case texts([String])
        case integers([Int32])
        /// A list of a list, which no file may have.
        case nested
    }

    struct Tensor {
        var name: String
        /// Slowest first, as everywhere else.
        var shape: [Int]
        var type: UInt32
        var bytes: [UInt8]
    }

    var version: UInt32 = 3
    var values: [(String, Value)] = []
    var tensors: [Tensor] = []
    var alignment = 32
    /// Announced in place of the number of tensors.
    var tensorCount: Int?
    /// Whether all tensors have the offset 0.
    var overlaps = false

    /// The whole file.
    var bytes: [UInt8] {
        var file = Array("GGUF".utf8)
        Self.append(version, &file)
        Self.append(UInt64(tensorCount ?? tensors.count), &file)
        Self.append(UInt64(values.count), &file)
        for (key, value) in values {
            Self.append(key, &file)
            switch value {
            case .integer(let number):
                Self.append(UInt32(4), &file)
                Self.append(number, &file)
            case .text(let text):
                Self.append(UInt32(8), &file)
                Self.append(text, &file)
            case .texts(let texts):
                Self.append(UInt32(9), &file)
                Self.append(UInt32(8), &file)
                Self.append(UInt64(texts.count), &file)
                for text in texts { Self.append(text, &file) }
            case .integers(let numbers):
                Self.append(UInt32(9), &file)
                Self.append(UInt32(5), &file)
                Self.append(UInt64(numbers.count), &file)
                for number in numbers { Self.append(UInt32(bitPattern: number), &file) }
            case .nested:
                for type in [9, 9] { Self.append(UInt32(type), &file) }
                Self.append(UInt64(1), &file)
                for type in [9, 4] { Self.append(UInt32(type), &file) }
                Self.append(UInt64(0), &file)
            }
        }
        var offset = 0
        for tensor in tensors {
            Self.append(tensor.name, &file)
            Self.append(UInt32(tensor.shape.count), &file)
            for dimension in tensor.shape.reversed() { Self.append(UInt64(dimension), &file) }
            Self.append(tensor.type, &file)
            Self.append(UInt64(overlaps ? 0 : offset), &file)
            offset += (tensor.bytes.count + alignment - 1) / alignment * alignment
        }
        for tensor in tensors {
            Self.pad(&file, to: alignment)
            file += tensor.bytes
        }
        Self.pad(&file, to: alignment)
        return file
    }

    private static func append<Number: FixedWidthInteger>(_ number: Number, _ file: inout [UInt8]) {
        file += withUnsafeBytes(of: number.littleEndian) { Array($0) }
    }

    private static func append(_ text: String, _ file: inout [UInt8]) {
        append(UInt64(text.utf8.count), &file)
        file += text.utf8
    }

    private static func pad(_ file: inout [UInt8], to alignment: Int) {
        file += [UInt8](repeating: 0, count: (alignment - file.count % alignment) % alignment)
    }

    /// Numbers one by one, in f32.
    static func plain(_ name: String, _ shape: [Int], _ numbers: [Float]) -> Tensor {
        var bytes: [UInt8] = []
        for number in numbers { append(number.bitPattern, &bytes) }
        return Tensor(name: name, shape: shape, type: 0, bytes: bytes)
    }
}
