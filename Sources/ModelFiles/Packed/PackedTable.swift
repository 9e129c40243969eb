// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// The table of contents of a file of packed weights.
///
/// The file consists of a header of 64 bytes in a page of its own, the matrices, each at a page
/// boundary with its parts at multiples of 64 bytes, and this table as JSON. The header is written
/// last and has the file's length and a hash of the table, and the table has hashes of both ends of
/// every part: an incompletely written file is always detected.
struct PackedTable: Codable, Equatable {
    /// A part of a matrix.
    struct Blob: Codable, Equatable {
        var offset: Int
        var count: Int
        /// Hash of the first and last bytes.
        var ends: UInt64

        /// Position in the file.
        var range: Range<Int> { offset..<(offset + count) }
    }

    /// A matrix by its parts.
    struct Matrix: Codable, Equatable {
        var numbers: [String: Int]
        var blobs: [String: Blob]
    }

    /// Source and format of the matrices.
    var key: String
    /// Matrices by name.
    var matrices: [String: Matrix] = [:]

    /// Alignment of a matrix, so that it can be mapped alone.
    static let page = 65_536
    /// Alignment of a part.
    static let alignment = 64
    /// Number of bytes at each end of a part that its hash covers.
    private static let sample = 2048

    /// Hash of the first and last bytes of a part.
    static func ends(of bytes: UnsafeRawBufferPointer) -> UInt64 {
        hash(UnsafeRawBufferPointer(rebasing: bytes.prefix(sample)))
            ^ hash(UnsafeRawBufferPointer(rebasing: bytes.suffix(sample))) &* 31
    }

    /// The next multiple of `unit`.
    static func roundUp(_ offset: Int, to unit: Int) -> Int { (offset + unit - 1) / unit * unit }
}

/// The first 64 bytes of a file of packed weights: eight little-endian numbers.
struct PackedHeader: Equatable {
    private static let magic: UInt64 = 0x314c_454e_4150_4b49  // "IKPANEL1"
    static let byteCount = 64

    /// Position of the table.
    var table: Range<Int>
    /// Length of the whole file.
    var fileBytes: Int
    /// Hash of the table.
    var tableHash: UInt64

    /// Creates a header.
    init(table: Range<Int>, fileBytes: Int, tableHash: UInt64) {
        self.table = table
        self.fileBytes = fileBytes
        self.tableHash = tableHash
    }

    /// The header's bytes.
    var bytes: [UInt8] {
        let words = [
            Self.magic, UInt64(table.lowerBound), UInt64(table.count), UInt64(fileBytes), tableHash,
            0, 0,
        ]
        let body = words.flatMap { word in withUnsafeBytes(of: word.littleEndian) { Array($0) } }
        let check = body.withUnsafeBytes { hash($0) }
        return body + withUnsafeBytes(of: check.littleEndian) { Array($0) }
    }

    /// Reads the header of a file; `nil` if it is invalid or the length of the file differs.
    init?(_ file: UnsafeRawBufferPointer) {
        guard file.count >= Self.byteCount else { return nil }
        func word(_ index: Int) -> UInt64 {
            UInt64(littleEndian: file.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self))
        }
        let body = UnsafeRawBufferPointer(rebasing: file[..<(Self.byteCount - 8)])
        guard word(0) == Self.magic, word(7) == hash(body), word(3) == UInt64(file.count),
            word(1) <= word(3), word(2) <= word(3) - word(1)
        else { return nil }
        self.init(
            table: Int(word(1))..<Int(word(1) + word(2)), fileBytes: file.count,
            tableHash: word(4))
    }
}
