// Part of Inkstone. Licence: see LICENSE.

import Service
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

    /// The name of an owner's file: owners may have equal files.
    fileprivate struct Key: Hashable {
        var owner: String?
        var name: String
    }

    fileprivate struct Contents {
        var files: [Key: File] = [:]
        /// Keys, oldest first.
        var order: [Key] = []
        var byteCount = 0
    }

    private let maximumCount: Int
    private let maximumBytes: Int
    private let contents = Mutex(Contents())

    init(maximumCount: Int = 64, maximumBytes: Int = 256 << 20) {
        self.maximumCount = maximumCount
        self.maximumBytes = maximumBytes
    }

    /// Stores a file of an owner; storing it again makes it the newest.
    func store(_ file: File, name: String, owner: String?) {
        let key = Key(owner: owner, name: name)
        contents.withLock { contents in
            contents.remove(key)
            contents.files[key] = file
            contents.order.append(key)
            contents.byteCount += file.bytes.count
            while contents.order.count > 1,
                contents.order.count > maximumCount || contents.byteCount > maximumBytes
            {
                contents.remove(contents.order[0])
            }
        }
    }

    /// The file of a name, or `nil` if it was evicted, or is of an owner that the access does not include.
    func file(name: String, for access: JobAccess) -> File? {
        contents.withLock { contents in
            contents.order.last { $0.name == name && access.permits($0.owner) }
                .flatMap { contents.files[$0] }
        }
    }
}

extension ImageFileStore.Contents {
    fileprivate mutating func remove(_ key: ImageFileStore.Key) {
        guard let file = files.removeValue(forKey: key) else { return }
        byteCount -= file.bytes.count
        order.removeAll { $0 == key }
    }
}
