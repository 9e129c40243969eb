// Part of Inkstone. Licence: see LICENSE.

import Synchronization

/// The newest image files, retained in memory for clients that requested a URL.
///
/// The oldest file is evicted first when there are more than `maximumCount` or `maximumBytes`.
final class ImageFileStore: Sendable {
    /// An image file.
    struct File: Sendable, Equatable {
        var bytes: [UInt8]
        var type: String
    }

    fileprivate struct Contents {
        var files: [String: File] = [:]
        /// Names, oldest first.
        var order: [String] = []
        var byteCount = 0
    }

    private let maximumCount: Int
    private let maximumBytes: Int
    private let contents = Mutex(Contents())

    init(maximumCount: Int = 64, maximumBytes: Int = 256 << 20) {
        self.maximumCount = maximumCount
        self.maximumBytes = maximumBytes
    }

    /// Stores a file; storing it again makes it the newest.
    func store(_ file: File, name: String) {
        contents.withLock { contents in
            contents.remove(name)
            contents.files[name] = file
            contents.order.append(name)
            contents.byteCount += file.bytes.count
            while contents.order.count > 1,
                contents.order.count > maximumCount || contents.byteCount > maximumBytes
            {
                contents.remove(contents.order[0])
            }
        }
    }

    /// The file of a name, or `nil` if it was evicted.
    func file(name: String) -> File? {
        contents.withLock { $0.files[name] }
    }
}

extension ImageFileStore.Contents {
    fileprivate mutating func remove(_ name: String) {
        guard let file = files.removeValue(forKey: name) else { return }
        byteCount -= file.bytes.count
        order.removeAll { $0 == name }
    }
}
