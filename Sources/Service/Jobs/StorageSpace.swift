// Part of Inkstone. Licence: see LICENSE.

import Basics
package import Foundation
import Imaging
import Synchronization

/// Whether the disk of the data folder has space, and a reserve of space for removing jobs when it has
/// none.
///
/// Removing rows writes to the database's log, which a full disk does not allow; the reserve is a file that
/// is removed then, and made again when there is space.
package final class StorageSpace: Sendable {
    /// Bytes of the reserve: the log of a batch of removed jobs, several times.
    package static let reserveBytes = 1 << 20

    /// Why no job is accepted while there is no space.
    static let refusal =
        "There is no space left on the server's disk; try again when some is free."

    private struct State {
        var isFull = false
        /// When it was last tested whether there is space again.
        var tested: ContinuousClock.Instant?
    }

    /// Notifies when the disk becomes full, and when it has space again.
    package let changes = ChangeSignal()
    private let url: URL
    private let state = Mutex(State())

    /// The space of a data folder.
    init(folder: URL) {
        url = folder.appending(path: "reserve")
    }

    // MARK: - State

    /// Whether the last write found no space.
    package var isFull: Bool { state.withLock { $0.isFull } }

    /// Records whether a write found space.
    func setFull(_ isFull: Bool) {
        let hasChanged = state.withLock { state in
            defer { state.isFull = isFull }
            return state.isFull != isFull
        }
        if hasChanged { changes.notify() }
    }

    /// Whether it is time to test again if there is space: at most once a second.
    func beginTest() -> Bool {
        state.withLock { state in
            if let tested = state.tested, .now - tested < .seconds(1) { return false }
            state.tested = .now
            return true
        }
    }

    /// Free bytes on the disk of a folder.
    package static func freeBytes(at folder: URL) -> Int? {
        try? folder.resourceValues(forKeys: [.volumeAvailableCapacityKey]).volumeAvailableCapacity
    }

    // MARK: - The reserve

    /// Whether there is a whole reserve.
    package var hasReserve: Bool { reserved >= Self.reserveBytes }

    /// Bytes of the reserve that there is.
    private var reserved: Int {
        let attributes = try? FileManager.default.attributesOfItem(atPath: url.path)
        return attributes?[.size] as? Int ?? 0
    }

    /// Frees the space of the reserve.
    ///
    /// Returns whether there was one.
    @discardableResult
    func releaseReserve() -> Bool { unlink(url.path) == 0 }

    /// Makes a whole reserve, unless there is one.
    ///
    /// - Throws: `ImagingError` of code `diskFull`, among others; there is a smaller reserve then, if possible.
    func makeReserve() throws(ImagingError) {
        guard !hasReserve else { return }
        releaseReserve()
        do {
            try makeReserve(of: Self.reserveBytes)
        } catch {
            // What opening a database needs at least.
            for bytes in [256 << 10, 128 << 10, 64 << 10] {
                if (try? makeReserve(of: bytes)) != nil { break }
            }
            throw error
        }
    }

    private func makeReserve(of bytes: Int) throws(ImagingError) {
        let path = url.path
        let file = try AtomicFile<ImagingError>(
            path, in: url.deletingLastPathComponent().path, prefix: ".reserve-", permissions: 0o600
        ) { ImageFile.failure($0, doing: "write", path) }
        try file.reserve(0..<bytes)
        try file.commit()
    }
}
