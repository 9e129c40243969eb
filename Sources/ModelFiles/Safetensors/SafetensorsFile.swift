// Part of Inkstone. Licence: see LICENSE.

import Basics
public import Foundation

/// A safetensors file, mapped into memory while it or one of its tensors is in use.
///
/// The file must not be modified or truncated during that time; see ``MappedFile``.
///
/// - Source: the format description of safetensors (`README.md`, section "Format").
public final class SafetensorsFile: Sendable {
    /// Location of the file.
    public let url: URL
    /// Tensors by name.
    public let tensors: [String: TensorEntry]
    /// The file's text metadata.
    public let metadata: [String: String]

    /// Identifies this file: its path without links, device, inode, size, time of modification, and a
    /// hash of its header.
    package let identity: String

    private let file: MappedFile
    private let headerBytes: Int

    /// Opens a file and checks its header in full.
    ///
    /// - Throws: `CheckpointError` of code `notFound`, `unreadable`, `truncated`, `badHeader` or
    ///   `unsupported`.
    public init(url: URL) throws(CheckpointError) {
        let file = try MappedFile(url)
        let header = try SafetensorsHeader(file.bytes, name: url.path.quoted)
        self.file = file
        headerBytes = header.byteCount
        self.url = url
        let start = UnsafeRawBufferPointer(rebasing: file.bytes.prefix(header.byteCount))
        identity =
            "\(url.resolvingSymlinksInPath().path) \(file.identity)"
            + " \(String(hash(start), radix: 16))"
        tensors = header.tensors
        metadata = header.metadata
    }

    /// The bytes behind the header, which all tensors are in; valid while the file object lives.
    package var data: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: file.bytes.dropFirst(headerBytes))
    }

    /// The bytes of one of this file's tensors; valid while the file object lives.
    public func bytes(of entry: TensorEntry) -> UnsafeRawBufferPointer {
        precondition(entry.byteRange.upperBound <= file.bytes.count, "entry of another file")
        return UnsafeRawBufferPointer(rebasing: file.bytes[entry.byteRange])
    }

    /// The tensor of a name, which keeps this file open, or `nil`.
    public func tensor(named name: String) -> StoredTensor? {
        tensors[name].map { entry in
            StoredTensor(
                name: name, dtype: entry.dtype, shape: entry.shape, bytes: bytes(of: entry),
                owner: self)
        }
    }
}
