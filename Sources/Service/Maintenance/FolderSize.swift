// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// Bytes of a folder or a file; a file with several names counts once.
struct FolderSize {
    private(set) var bytes = 0
    private var seen: Set<UInt64> = []

    /// - Parameters:
    ///   - url: The folder.
    ///   - others: Folders whose files do not count.
    init(of url: URL, except others: [URL] = []) {
        for other in others { visit(other) }
        bytes = 0
        visit(url)
    }

    private mutating func visit(_ url: URL) {
        add(url.path)
        guard let names = FileManager.default.enumerator(atPath: url.path) else { return }
        while let name = names.nextObject() as? String { add(url.appending(path: name).path) }
    }

    private mutating func add(_ path: String) {
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: path),
            attributes[.type] as? FileAttributeType == .typeRegular,
            let number = (attributes[.systemFileNumber] as? NSNumber)?.uint64Value,
            seen.insert(number).inserted
        else { return }
        bytes += attributes[.size] as? Int ?? 0
    }
}
