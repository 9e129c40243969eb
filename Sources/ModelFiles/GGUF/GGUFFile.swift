// Part of Inkstone. Licence: see LICENSE.

import Basics
package import Foundation
import Tensors

/// A GGUF file, mapped into memory while it or one of its tensors is in use.
///
/// - Source: the format's description, `docs/gguf.md` of ggml, versions 2 and 3.
package final class GGUFFile: Sendable {
    /// Location of the file.
    package let url: URL
    /// The file's metadata.
    let values: [String: GGUFValue]
    /// Identifies this file, as `SafetensorsFile.identity` does.
    package let identity: String

    private let file: MappedFile
    private let entries: [String: Entry]

    /// Position, shape and format of a tensor.
    private struct Entry: Sendable {
        let format: BlockFormat
        let shape: [Int]
        let range: Range<Int>
    }

    private static let alignmentKey = "general.alignment"
    private static let shapePrefix = "comfy.gguf.orig_shape."
    private static let rankLimit = 4
    private static let remedy = "Download the file again."

    /// Opens a file and validates its header.
    ///
    /// - Throws: `CheckpointError` of code `notFound`, `unreadable`, `truncated`, `badHeader` or
    ///   `unsupported`.
    package init(url: URL) throws(CheckpointError) {
        let file = try MappedFile(url)
        let name = url.path.quoted
        var cursor = GGUFCursor(file.bytes)
        do throws(GGUFCursor.Failure) {
            let (tensors, keys) = try Self.preamble(&cursor)
            var values: [String: GGUFValue] = [:]
            for _ in 0..<keys {
                let key = try cursor.name()
                guard values.updateValue(try cursor.value(), forKey: key) == nil else {
                    throw .init(reason: "the key \(key.quoted) comes twice")
                }
            }
            entries = try Self.entries(
                &cursor, count: tensors, values: values, fileSize: file.bytes.count)
            self.values = values
        } catch {
            throw CheckpointError(
                code: error.code,
                message: "\(name) is not a usable GGUF file: \(error.reason).",
                remedy: error.code == .unsupported
                    ? "Use a file in Q8_0, Q6_K, Q5_K, Q4_K or BF16." : Self.remedy)
        }
        self.file = file
        self.url = url
        let start = UnsafeRawBufferPointer(rebasing: file.bytes.prefix(cursor.offset))
        identity =
            "\(url.resolvingSymlinksInPath().path) \(file.identity)"
            + " \(String(hash(start), radix: 16))"
    }

    /// Magic and version, then the numbers of tensors and of values.
    private static func preamble(
        _ cursor: inout GGUFCursor
    ) throws(GGUFCursor.Failure) -> (tensors: Int, keys: Int) {
        guard try cursor.fixed(UInt32.self) == 0x4655_4747 else {
            throw .init(reason: "it does not begin with 'GGUF'")
        }
        let version = try cursor.fixed(UInt32.self)
        guard version == 2 || version == 3 else {
            let isSwapped = (2...3).contains(version.byteSwapped)
            throw .init(
                reason: isSwapped
                    ? "its numbers are big-endian, which is not supported"
                    : "its version is \(version), expected 2 or 3",
                code: isSwapped ? .unsupported : .badHeader)
        }
        let limit = SafetensorsHeader.entryLimit
        return (
            try cursor.size("the number of tensors", atMost: limit),
            try cursor.size("the number of values", atMost: limit)
        )
    }

    private static func entries(
        _ cursor: inout GGUFCursor, count: Int, values: [String: GGUFValue], fileSize: Int
    ) throws(GGUFCursor.Failure) -> [String: Entry] {
        var raw: [(name: String, shape: [Int], format: BlockFormat, size: Int, offset: Int)] = []
        for _ in 0..<count {
            let name = try cursor.name()
            func bad(
                _ reason: String, code: CheckpointError.Code = .badHeader
            ) -> GGUFCursor.Failure {
                .init(reason: "tensor \(name.quoted) \(reason)", code: code)
            }
            let rank = Int(try cursor.fixed(UInt32.self))
            guard rank <= rankLimit else { throw bad("has \(rank) dimensions, expected 4 at most") }
            var shape: [Int] = []
            // The file lists the fastest dimension first.
            for _ in 0..<rank {
                shape.insert(try cursor.size("a dimension", atMost: 1 << 40), at: 0)
            }
            let type = try cursor.fixed(UInt32.self)
            guard let format = BlockFormat(rawValue: type) else {
                let type = BlockFormat.foreign[type] ?? "type \(type)"
                throw bad("is stored as \(type), which is not supported", code: .unsupported)
            }
            guard !shape.contains(0), let numbers = TensorEntry.byteCount(dtype: .u8, shape: shape),
                (shape.last ?? 1).isMultiple(of: format.numbers), numbers <= 1 << 40
            else {
                throw bad("has the shape \(shape), which \(format.name) cannot store")
            }
            let offset = try cursor.size("the offset of a tensor", atMost: fileSize)
            raw.append((name, shape, format, numbers / format.numbers * format.bytes, offset))
        }
        let start = try dataStart(cursor.offset, values)
        var entries: [String: Entry] = [:]
        var end = 0
        for tensor in raw.sorted(by: { $0.offset < $1.offset }) {
            let range = (start + tensor.offset)..<(start + tensor.offset + tensor.size)
            guard range.upperBound <= fileSize else {
                throw .init(
                    reason: "tensor \(tensor.name.quoted) ends at byte \(range.upperBound), and the"
                        + " file at \(fileSize)", code: .truncated)
            }
            guard range.lowerBound >= end else {
                throw .init(
                    reason: "tensor \(tensor.name.quoted) overlaps another")
            }
            end = range.upperBound
            let shape = try originalShape(of: tensor.name, tensor.shape, values)
            let entry = Entry(format: tensor.format, shape: shape, range: range)
            guard entries.updateValue(entry, forKey: tensor.name) == nil else {
                throw .init(
                    reason: "tensor \(tensor.name.quoted) is described twice")
            }
        }
        return entries
    }

    /// Offset of the tensors' data, with the alignment of the file.
    private static func dataStart(
        _ offset: Int, _ values: [String: GGUFValue]
    ) throws(GGUFCursor.Failure) -> Int {
        var alignment = 32
        if let value = values[alignmentKey] {
            guard case .integer(let number) = value, (1...1 << 20).contains(number),
                number & (number - 1) == 0
            else {
                throw .init(
                    reason: "\(alignmentKey) is not a power of two up to 1048576")
            }
            alignment = number
        }
        return (offset + alignment - 1) / alignment * alignment
    }

    /// Some writers adapt shapes to the block size and record the original one.
    private static func originalShape(
        of name: String, _ shape: [Int], _ values: [String: GGUFValue]
    ) throws(GGUFCursor.Failure) -> [Int] {
        guard let value = values[shapePrefix + name] else { return shape }
        guard case .integers(let original) = value, original.count <= TensorEntry.rankLimit,
            original.allSatisfy({ $0 > 0 }),
            TensorEntry.byteCount(dtype: .u8, shape: original)
                == TensorEntry.byteCount(dtype: .u8, shape: shape)
        else {
            throw .init(
                reason: "\(shapePrefix)\(name) does not fit the shape \(shape)")
        }
        return original
    }

    // MARK: Content

    /// The names of all tensors.
    package var names: [String] { Array(entries.keys) }

    /// The tensor of a name, which keeps this file open, or `nil`.
    package func tensor(named name: String) -> StoredTensor? {
        entries[name].map { entry in
            let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[entry.range])
            guard let dtype = entry.format.dtype else {
                return StoredTensor(
                    name: name, shape: entry.shape, coding: BlockCoding(format: entry.format),
                    bytes: bytes, owner: self)
            }
            return StoredTensor(
                name: name, dtype: dtype, shape: entry.shape, bytes: bytes, owner: self)
        }
    }

    /// A text of the metadata.
    package func string(_ key: String) -> String? {
        if case .string(let text) = values[key] { text } else { nil }
    }

    /// An integer of the metadata.
    package func integer(_ key: String) -> Int? {
        if case .integer(let number) = values[key] { number } else { nil }
    }

    /// A number of the metadata, of any type.
    package func number(_ key: String) -> Double? {
        switch values[key] {
        case .integer(let number): Double(number)
        case .number(let number): number
        default: nil
        }
    }

    /// A list of texts of the metadata, as bytes.
    package func texts(_ key: String) -> [[UInt8]]? {
        if case .texts(let texts) = values[key] { texts } else { nil }
    }

    /// A list of integers of the metadata.
    package func integers(_ key: String) -> [Int]? {
        if case .integers(let numbers) = values[key] { numbers } else { nil }
    }
}
