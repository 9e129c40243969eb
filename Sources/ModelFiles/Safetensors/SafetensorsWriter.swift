// Part of Inkstone. Licence: see LICENSE.

import Basics
public import Foundation
public import Tensors

/// Writes a safetensors file of any size, tensor by tensor, atomically.
///
/// ```swift
/// var writer = try SafetensorsWriter(
///     to: url, tensors: [.init(name: "a", dtype: .f32, shape: [2, 3])], metadata: [:])
/// try writer.append(bytes, to: "a")
/// try writer.finish()
/// ```
///
/// The bytes are written to a hidden file in the same folder, which `finish()` synchronizes and
/// renames. Until then an existing file of that name stays; a writer that is released earlier
/// removes its file.
public struct SafetensorsWriter: ~Copyable {
    /// A tensor that will be written.
    public struct Declaration: Sendable, Equatable {
        /// Its name.
        public var name: String
        /// Type of its numbers.
        public var dtype: DType
        /// Its dimensions, slowest first.
        public var shape: [Int]

        /// Declares a tensor.
        public init(name: String, dtype: DType, shape: [Int]) {
            self.name = name
            self.dtype = dtype
            self.shape = shape
        }
    }

    private let file: CheckpointFile
    /// The range of each tensor that is not written yet, counted from the start of the file.
    private var remaining: [String: Range<Int>]

    /// Creates a file and writes its header.
    ///
    /// - Throws: `CheckpointError` of code `writeFailed`.
    public init(
        to url: URL, tensors: [Declaration], metadata: [String: String] = [:]
    ) throws(CheckpointError) {
        let layout = try SafetensorsLayout(tensors, metadata: metadata, path: url.path.quoted)
        let file = try CheckpointFile(url)
        try file.extend(to: layout.fileSize)
        try layout.header.withUnsafeBufferPointer { buffer throws(CheckpointError) in
            try file.write(UnsafeRawBufferPointer(buffer), at: 0)
        }
        self.file = file
        remaining = layout.ranges
    }

    /// Appends bytes to a tensor; tensors may be written in any order.
    ///
    /// - Throws: `CheckpointError` of code `writeFailed`, also for a tensor that was not declared
    ///   or is full.
    public mutating func append(
        _ bytes: UnsafeRawBufferPointer, to name: String
    ) throws(CheckpointError) {
        guard let range = remaining[name], bytes.count <= range.count else {
            throw CheckpointError(
                code: .writeFailed,
                message: "\(bytes.count) bytes do not fit into tensor \(name.quoted), which has"
                    + " \(remaining[name]?.count ?? 0) left.")
        }
        try file.write(bytes, at: range.lowerBound)
        remaining[name] = (range.lowerBound + bytes.count)..<range.upperBound
    }

    /// Appends numbers to a tensor as stored in memory; their type is not checked.
    ///
    /// - Throws: `CheckpointError`, as `append(_:to:)` for bytes does.
    public mutating func append<Number: BitwiseCopyable>(
        _ numbers: [Number], to name: String
    ) throws(CheckpointError) {
        try numbers.withUnsafeBufferPointer { buffer throws(CheckpointError) in
            try append(UnsafeRawBufferPointer(buffer), to: name)
        }
    }

    /// Completes and renames the file.
    ///
    /// - Throws: `CheckpointError` of code `writeFailed`, also when bytes are missing.
    public consuming func finish() throws(CheckpointError) {
        let short = remaining.filter { !$0.value.isEmpty }.map(\.key).sorted()
        guard short.isEmpty else {
            throw CheckpointError(
                code: .writeFailed,
                message: "\(file.path.quoted) is not complete, bytes are missing in"
                    + " \(short.listed()).")
        }
        try file.commit()
    }
}
