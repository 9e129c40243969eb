// Part of Inkstone. Licence: see LICENSE.

/// Memory that uploads and downloads pass through, allocated on first use.
final class Staging: @unchecked Sendable {
    // Unchecked: only the recorder uses it, one caller at a time.
    private let uploads: MemoryPool
    private let readbacks: MemoryPool
    private var uploadBuffer: DeviceBuffer?
    private var readbackBuffer: DeviceBuffer?
    var ring: StagingRing

    /// Most bytes of a piece of an upload or a download.
    let pieceBytes: Int

    /// Uses `bytes` of the host's memory in either direction.
    init(uploads: MemoryPool, readbacks: MemoryPool, bytes: Int) {
        self.uploads = uploads
        self.readbacks = readbacks
        ring = StagingRing(capacity: bytes)
        // Four pieces, so that the host copies one while the device copies others.
        pieceBytes = max(256, bytes / 4 / 256 * 256)
    }

    /// The memory of the ring.
    func upload() throws(VulkanError) -> DeviceBuffer {
        if let uploadBuffer { return uploadBuffer }
        let buffer = try uploads.allocate(ring.capacity)
        uploadBuffer = buffer
        return buffer
    }

    /// Memory for one piece of a download.
    func readback() throws(VulkanError) -> DeviceBuffer {
        if let readbackBuffer { return readbackBuffer }
        let buffer = try readbacks.allocate(pieceBytes)
        readbackBuffer = buffer
        return buffer
    }
}
