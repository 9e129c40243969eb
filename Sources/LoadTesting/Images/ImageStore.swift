// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Synchronization

/// Retains the images of a level as received until they are checked after its drain: in memory,
/// and beyond a limit in a temporary file.
final class ImageStore: Sendable {
    /// Identifies an image of the store.
    struct Token: Sendable {
        fileprivate var index: Int
    }

    private enum Place {
        case memory(ImageBytes)
        case file(offset: UInt64, count: Int, isBase64: Bool)
    }

    private struct State {
        var places: [Place] = []
        var inMemory = 0
        var handle: FileHandle?
        var written: UInt64 = 0
    }

    private let spill: URL
    private let limit: Int
    private let state = Mutex(State())

    /// - Parameters:
    ///   - spill: the temporary file, created when needed.
    ///   - limit: maximum number of bytes in memory.
    init(spill: URL, limit: Int = 256 << 20) {
        self.spill = spill
        self.limit = limit
    }

    func add(_ image: ImageBytes) -> Token {
        state.withLock { state in
            if state.inMemory + image.count > limit, let place = write(image, &state) {
                state.places.append(place)
            } else {
                state.inMemory += image.count
                state.places.append(.memory(image))
            }
            return Token(index: state.places.count - 1)
        }
    }

    /// Returns an image; `nil` when the file cannot be read.
    func image(_ token: Token) -> ImageBytes? {
        state.withLock { state in
            switch state.places[token.index] {
            case .memory(let image): return image
            case .file(let offset, let count, let isBase64):
                guard let handle = try? FileHandle(forReadingFrom: spill),
                    (try? handle.seek(toOffset: offset)) != nil,
                    let data = try? handle.read(upToCount: count), data.count == count
                else { return nil }
                try? handle.close()
                return isBase64 ? .base64([UInt8](data)) : .file([UInt8](data))
            }
        }
    }

    /// Removes all images and the file.
    func clear() {
        state.withLock { state in
            try? state.handle?.close()
            try? FileManager.default.removeItem(at: spill)
            state = State()
        }
    }

    /// Writes an image to the file; `nil` when that fails, and the image stays in memory.
    private func write(_ image: ImageBytes, _ state: inout State) -> Place? {
        if state.handle == nil {
            guard (try? Data().write(to: spill)) != nil else { return nil }
            state.handle = try? FileHandle(forWritingTo: spill)
        }
        let (bytes, isBase64) =
            switch image {
            case .base64(let bytes): (bytes, true)
            case .file(let bytes): (bytes, false)
            }
        guard let handle = state.handle, (try? handle.write(contentsOf: Data(bytes))) != nil else {
            return nil
        }
        defer { state.written += UInt64(bytes.count) }
        return .file(offset: state.written, count: bytes.count, isBase64: isBase64)
    }
}
