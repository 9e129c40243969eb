// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation
package import Imaging

/// A file whose bytes are on the disk, under a temporary name until it is committed.
///
/// Writing the bytes takes long and needs no lock; the change of the name is a moment that belongs into
/// the transaction of the row that refers to the file.
///
/// Unchecked: one task stages the file and hands it over to the store, which commits it where nothing else
/// changes files; the other properties are constant.
package final class StagedFile: @unchecked Sendable {
    /// SHA-256 of the bytes.
    package let name: String
    private let url: URL
    private let prefix: String
    private let bytes: [UInt8]
    private var temporary: AtomicFile<ImagingError>?

    init(name: String, url: URL, prefix: String, bytes: [UInt8]) {
        self.name = name
        self.url = url
        self.prefix = prefix
        self.bytes = bytes
    }

    /// Number of bytes.
    package var size: Int { bytes.count }

    /// Whether there is a file of the name.
    var isStored: Bool { FileManager.default.fileExists(atPath: url.path) }

    /// Writes the bytes to the disk under a temporary name.
    ///
    /// - Throws: `ImagingError`.
    func write() throws(ImagingError) {
        let path = url.path
        let file = try AtomicFile<ImagingError>(
            path, in: ImageFile.folder(of: path), prefix: prefix, permissions: 0o600
        ) { ImageFile.failure($0, doing: "write", path) }
        try bytes.withUnsafeBufferPointer { buffer throws(ImagingError) in
            try file.write(UnsafeRawBufferPointer(buffer), at: 0)
        }
        try file.synchronize()
        temporary = file
    }

    /// Gives the file its name, unless there is one of that name.
    ///
    /// Returns whether there was none.
    ///
    /// - Throws: `ImagingError`.
    @discardableResult
    package func commit() throws(ImagingError) -> Bool {
        defer { temporary = nil }
        guard !isStored else { return false }
        // The equal file that was there when this one was staged has been removed.
        if temporary == nil { try write() }
        try temporary?.commit()
        return true
    }

    /// Removes the file that was committed.
    func remove() { try? FileManager.default.removeItem(at: url) }
}
