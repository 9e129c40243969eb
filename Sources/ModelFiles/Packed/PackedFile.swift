// Part of Inkstone. Licence: see LICENSE.

import Basics
package import Foundation
package import Tensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A file of packed weights, mapped with memory shared by all processes.
package struct PackedFile: Sendable {
    private let table: PackedTable
    private let mapping: SharedMapping

    /// Opens a file that was packed from the source `key`; `nil` if it is missing, damaged, truncated
    /// or packed from another source.
    package init?(url: URL, key: String) {
        let descriptor = open(url.path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_size >= PackedHeader.byteCount,
            let mapping = SharedMapping(descriptor, 0..<Int(status.st_size)),
            let header = PackedHeader(mapping.bytes)
        else { return nil }
        let text = UnsafeRawBufferPointer(rebasing: mapping.bytes[header.table])
        guard hash(text) == header.tableHash,
            let table = try? JSONDecoder().decode(PackedTable.self, from: Data(text)),
            table.key == key
        else { return nil }
        for matrix in table.matrices.values {
            for blob in matrix.blobs.values {
                guard blob.offset >= PackedTable.page, blob.count >= 0,
                    blob.offset.isMultiple(of: PackedTable.alignment),
                    blob.count <= header.table.lowerBound - blob.offset,
                    PackedTable.ends(
                        of: UnsafeRawBufferPointer(rebasing: mapping.bytes[blob.range]))
                        == blob.ends
                else { return nil }
            }
        }
        self.table = table
        self.mapping = mapping
    }

    /// Number of matrices.
    package var count: Int { table.matrices.count }

    /// The matrix with a name.
    package subscript(name: String) -> PackedMatrix? {
        table.matrices[name].map { matrix in
            PackedMatrix(
                numbers: matrix.numbers,
                blobs: matrix.blobs.mapValues {
                    UnsafeRawBufferPointer(rebasing: mapping.bytes[$0.range])
                }, owner: mapping)
        }
    }
}

/// Writes a file of packed weights, matrix by matrix, atomically.
package final class PackedFileWriter {
    private let file: CheckpointFile
    private var table: PackedTable
    private var end = PackedTable.page
    private let limit: Int

    /// Creates a temporary file of at most `limit` bytes in the final folder.
    ///
    /// - Throws: `CheckpointError` of code `writeFailed`, here and below.
    package init(url: URL, key: String, limit: Int) throws(CheckpointError) {
        file = try CheckpointFile(url)
        self.limit = limit
        table = PackedTable(key: key)
    }

    /// Writes a matrix and returns it as mapped from the file, so that the original can be freed.
    package func append(
        _ matrix: PackedMatrix, named name: String
    ) throws(CheckpointError) -> PackedMatrix {
        let start = end
        var blobs: [String: PackedTable.Blob] = [:]
        var offset = start
        for (part, bytes) in matrix.blobs.sorted(by: { $0.key < $1.key }) {
            blobs[part] = PackedTable.Blob(
                offset: offset, count: bytes.count, ends: PackedTable.ends(of: bytes))
            offset = PackedTable.roundUp(
                offset + bytes.count, to: PackedTable.alignment)
        }
        end = PackedTable.roundUp(offset, to: PackedTable.page)
        guard end <= limit else {
            throw CheckpointError(
                code: .writeFailed,
                message: "\(file.path.quoted) would be larger than \(limit) bytes, all that the"
                    + " cache may have.")
        }
        try file.reserve(start..<end)
        for (part, bytes) in matrix.blobs {
            guard let blob = blobs[part] else { continue }
            try file.write(bytes, at: blob.offset)
        }
        file.startWriting(start..<end)
        let mapping = try file.map(start..<end)
        table.matrices[name] = PackedTable.Matrix(numbers: matrix.numbers, blobs: blobs)
        return PackedMatrix(
            numbers: matrix.numbers,
            blobs: blobs.mapValues { blob in
                UnsafeRawBufferPointer(
                    rebasing: mapping.bytes[
                        (blob.offset - start)..<(blob.offset - start + blob.count)])
            }, owner: mapping)
    }

    /// Completes and renames the file.
    package func finish() throws(CheckpointError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        guard let text = try? Array(encoder.encode(table)) else { return }
        let range = end..<(end + text.count)
        try text.withUnsafeBufferPointer { buffer throws(CheckpointError) in
            try file.write(UnsafeRawBufferPointer(buffer), at: range.lowerBound)
        }
        let header = PackedHeader(
            table: range, fileBytes: range.upperBound,
            tableHash: text.withUnsafeBytes { hash($0) })
        // The header must not reach the disk before the data that it validates.
        try file.synchronize()
        try header.bytes.withUnsafeBufferPointer { buffer throws(CheckpointError) in
            try file.write(UnsafeRawBufferPointer(buffer), at: 0)
        }
        try file.commit()
    }
}
