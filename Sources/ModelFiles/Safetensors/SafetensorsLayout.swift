// Part of Inkstone. Licence: see LICENSE.

import Basics
import Tensors

/// The header of a new safetensors file, and the position of each tensor.
///
/// Tensors are stored without gaps, sorted by element size and name: so every tensor is aligned to
/// its element size, and the same tensors give the same file.
struct SafetensorsLayout {
    /// Length and JSON text; a multiple of 8 bytes.
    let header: [UInt8]
    /// Bytes of each tensor, counted from the start of the file.
    let ranges: [String: Range<Int>]
    /// Bytes of the whole file.
    let fileSize: Int

    /// Lays out a file.
    ///
    /// - Throws: `CheckpointError` of code `writeFailed` for duplicate names and invalid shapes.
    init(
        _ tensors: [SafetensorsWriter.Declaration], metadata: [String: String], path: String
    ) throws(CheckpointError) {
        let order = tensors.sorted {
            ($1.dtype.byteWidth, $0.name) < ($0.dtype.byteWidth, $1.name)
        }
        var entries: [String] = []
        if !metadata.isEmpty {
            let texts = metadata.sorted { $0.key < $1.key }
                .map { "\($0.key.jsonQuoted):\($0.value.jsonQuoted)" }
            entries.append("\"__metadata__\":{\(texts.joined(separator: ","))}")
        }
        var ranges: [String: Range<Int>] = [:]
        var offset = 0
        for tensor in order {
            guard tensor.shape.allSatisfy({ $0 >= 0 }), tensor.shape.count <= TensorEntry.rankLimit,
                let size = TensorEntry.byteCount(dtype: tensor.dtype, shape: tensor.shape),
                size <= Int.max / 4 - offset, tensor.name != "__metadata__",
                ranges.updateValue(offset..<(offset + size), forKey: tensor.name) == nil
            else {
                throw CheckpointError(
                    code: .writeFailed,
                    message: "\(path) cannot hold tensor \(tensor.name.quoted) of shape"
                        + " \(tensor.shape): the shape is impossible or the name is taken.")
            }
            let shape = tensor.shape.map(String.init).joined(separator: ",")
            entries.append(
                "\(tensor.name.jsonQuoted):{\"dtype\":\"\(tensor.dtype.rawValue)\","
                    + "\"shape\":[\(shape)],\"data_offsets\":[\(offset),\(offset + size)]}")
            offset += size
        }
        var json = Array("{\(entries.joined(separator: ","))}".utf8)
        json += repeatElement(UInt8(ascii: " "), count: (8 - json.count % 8) % 8)
        guard json.count <= SafetensorsHeader.byteLimit else {
            throw CheckpointError(
                code: .writeFailed,
                message: "\(path) would have a header of \(json.count) bytes, expected at most"
                    + " \(SafetensorsHeader.byteLimit).")
        }
        header = withUnsafeBytes(of: UInt64(json.count).littleEndian) { Array($0) } + json
        let start = header.count
        self.ranges = ranges.mapValues { ($0.lowerBound + start)..<($0.upperBound + start) }
        fileSize = start + offset
    }
}

extension String {
    /// The text as a JSON string.
    fileprivate var jsonQuoted: String {
        var quoted = "\""
        for scalar in unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case _ where scalar.value < 0x20:
                quoted += "\\u" + scalar.value.hexadecimal(digits: 4)
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
