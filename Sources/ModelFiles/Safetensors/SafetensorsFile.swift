// Part of Inkstone. Licence: see LICENSE.

#if canImport(FoundationEssentials)
    public import FoundationEssentials
#else
    public import Foundation
#endif

/// A safetensors file, mapped into memory for as long as it or one of its tensors is in use.
///
/// The file must not be changed or shortened in the meantime; see the note at the mapping.
///
/// - Source: the format description of safetensors (`README.md`, section "Format").
public final class SafetensorsFile: Sendable {
    /// Where the file was opened.
    public let url: URL
    /// Tensors by name.
    public let tensors: [String: TensorEntry]
    /// The texts that the file carries about itself.
    public let metadata: [String: String]

    /// Tells this file from every other: its path without links, what the system knows of it, and
    /// a hash of its header.
    package let identity: String

    private let file: MappedFile

    /// Opens a file and checks its header in full.
    ///
    /// - Throws: `CheckpointError` of code `notFound`, `unreadable`, `truncated`, `badHeader` or
    ///   `unsupported`.
    public init(url: URL) throws(CheckpointError) {
        let file = try MappedFile(url)
        let header = try SafetensorsHeader(file.bytes, name: url.path.quoted)
        self.file = file
        self.url = url
        let start = UnsafeRawBufferPointer(rebasing: file.bytes.prefix(header.byteCount))
        identity =
            "\(url.resolvingSymlinksInPath().path) \(file.identity)"
            + " \(String(hash(start), radix: 16))"
        tensors = header.tensors
        metadata = header.metadata
    }

    /// The bytes of one of this file's tensors; valid while the file object lives.
    public func bytes(of entry: TensorEntry) -> UnsafeRawBufferPointer {
        precondition(entry.byteRange.upperBound <= file.bytes.count, "entry of another file")
        return UnsafeRawBufferPointer(rebasing: file.bytes[entry.byteRange])
    }

    /// A tensor that keeps this file open, or `nil` if there is none of that name.
    public func tensor(named name: String) -> StoredTensor? {
        tensors[name].map { entry in
            StoredTensor(
                name: name, dtype: entry.dtype, shape: entry.shape, bytes: bytes(of: entry),
                owner: self)
        }
    }
}
