// Part of Inkstone. Licence: see LICENSE.

extension Recorder {
    /// Largest upload that a command buffer contains.
    private static let smallUpload = 4096

    /// Copies bytes of the host, which are read before the function returns, to a buffer.
    package func upload(
        _ bytes: UnsafeRawBufferPointer, to target: DeviceBuffer, at offset: Int = 0
    ) {
        precondition(
            offset >= 0 && offset + bytes.count <= target.bytes,
            "\(bytes.count) bytes at \(offset) of \(target.bytes)")
        guard failure == nil, !bytes.isEmpty else { return }
        if bytes.count <= Self.smallUpload, bytes.count % 4 == 0, offset % 4 == 0 {
            update(target, at: offset, bytes)
            return
        }
        do throws(VulkanError) {
            try stage(bytes, to: target, at: offset)
        } catch { fail(error) }
    }

    /// Copies the elements of an array to a buffer.
    package func upload<Element: BitwiseCopyable>(
        _ elements: [Element], to target: DeviceBuffer, at offset: Int = 0
    ) {
        elements.withUnsafeBytes { upload($0, to: target, at: offset) }
    }

    private func stage(
        _ bytes: UnsafeRawBufferPointer, to target: DeviceBuffer, at offset: Int
    ) throws(VulkanError) {
        let buffer = try staging.upload()
        guard let memory = buffer.hostAddress else { return }
        var done = 0
        while done < bytes.count, failure == nil {
            let piece = bytes[done..<min(bytes.count, done + staging.pieceBytes)]
            guard let place = reserve(piece.count) else { return }
            UnsafeMutableRawBufferPointer(start: memory + place, count: piece.count)
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: piece))
            // The ring, not a barrier, keeps the place until the copy is finished.
            copy(
                buffer, at: place, to: target, at: offset + done, bytes: piece.count, reads: [],
                writes: [target.range(at: offset + done, bytes: piece.count)])
            done += piece.count
            // The device begins while the host copies the next pieces.
            if staging.ring.bytes(of: recorded) >= staging.pieceBytes { submit() }
        }
    }

    /// Waits for a place in the ring; returns `nil` after a failure.
    private func reserve(_ bytes: Int) -> Int? {
        while failure == nil {
            staging.ring.release(completed: completed)
            if let place = staging.ring.reserve(bytes, for: recorded) { return place }
            submit()
            guard let oldest = staging.ring.oldest, failure == nil else { return nil }
            wait(for: oldest)
        }
        return nil
    }

    /// Submits what is recorded, waits for it, and copies bytes of a buffer to the host.
    ///
    /// - Throws: The first failure since the last ``takeFailure()``.
    package func download(
        _ source: DeviceBuffer, at offset: Int = 0, into target: UnsafeMutableRawBufferPointer
    ) throws(VulkanError) {
        precondition(
            offset >= 0 && offset + target.count <= source.bytes,
            "\(target.count) bytes at \(offset) of \(source.bytes)")
        var done = 0
        repeat {
            if let failure { throw failure }
            let bytes = min(target.count - done, staging.pieceBytes)
            let buffer: DeviceBuffer
            do throws(VulkanError) { buffer = try staging.readback() } catch {
                fail(error)
                throw error
            }
            // The piece before was read when its submission was finished.
            copy(
                source, at: offset + done, to: buffer, at: 0, bytes: bytes,
                reads: [source.range(at: offset + done, bytes: bytes)], writes: [])
            submit()
            wait(for: recorded - 1)
            if let failure { throw failure }
            if let memory = buffer.hostAddress, bytes > 0 {
                UnsafeMutableRawBufferPointer(rebasing: target[done..<(done + bytes)])
                    .copyMemory(from: UnsafeRawBufferPointer(start: memory, count: bytes))
            }
            done += bytes
        } while done < target.count
    }

    /// Submits what is recorded, waits for it, and returns bytes of a buffer.
    ///
    /// - Throws: The first failure since the last ``takeFailure()``.
    package func download(
        _ source: DeviceBuffer, at offset: Int = 0, bytes: Int
    ) throws(VulkanError) -> [UInt8] {
        try download(source, at: offset, count: bytes, as: UInt8.self)
    }

    /// Submits what is recorded, waits for it, and returns elements of a buffer from a byte offset on.
    ///
    /// - Throws: The first failure since the last ``takeFailure()``.
    package func download<Element: BitwiseCopyable>(
        _ source: DeviceBuffer, at offset: Int = 0, count: Int, as type: Element.Type
    ) throws(VulkanError) -> [Element] {
        var failure: VulkanError?
        let elements = [Element](unsafeUninitializedCapacity: count) { memory, initialized in
            do throws(VulkanError) {
                try download(
                    source, at: offset,
                    into: UnsafeMutableRawBufferPointer(
                        start: memory.baseAddress, count: count * MemoryLayout<Element>.stride))
                initialized = count
            } catch let error { failure = error }
        }
        if let failure { throw failure }
        return elements
    }
}
