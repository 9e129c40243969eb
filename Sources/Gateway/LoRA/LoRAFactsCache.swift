// Part of Inkstone. Licence: see LICENSE.

import Basics
package import Catalog
package import Foundation
import Service

/// What LoRA files contain, read once for each version of a file.
///
/// It holds the files of the newest list and those recorded since, each in one version; unreadable ones as well, so
/// that no file is read twice.
package actor LoRAFactsCache {
    /// What is known of a file.
    package enum Knowledge: Sendable, Equatable {
        /// The file is being read, or waits to be; its size in bytes.
        case pending(Int)
        /// It is not a file that can be used, or there are too many.
        case unreadable
        case facts(LoRAFacts)
    }

    private struct Entry {
        let url: URL
        var knowledge: Knowledge
        let done = Promise<Void>()
    }

    /// Reads one file.
    package typealias Read = @Sendable (URL) async throws -> LoRAFacts

    private let reader: Read
    /// Files that are read at once.
    private let width: Int
    private let maximumFiles: Int
    private let maximumBytes: Int
    private var entries: [FileStamp: Entry] = [:]
    private var queue: [FileStamp] = []
    private var running = 0
    /// Bytes of all thumbnails.
    private var thumbnailBytes = 0

    /// An empty cache.
    ///
    /// - Parameters:
    ///   - width: Files that are read at once.
    ///   - maximumFiles: Files beyond these are not read.
    ///   - maximumBytes: Bytes of thumbnails; further files are listed without one.
    ///   - read: Reads a file.
    package init(
        width: Int = 2, maximumFiles: Int = 2000, maximumBytes: Int = 64 << 20,
        read: @escaping Read
    ) {
        self.width = width
        self.maximumFiles = maximumFiles
        self.maximumBytes = maximumBytes
        reader = read
    }

    /// What is known of the files of a list; those that are new are read, and awaited for a limited time.
    ///
    /// - Parameters:
    ///   - urls: all files that there are.
    ///   - limit: Time to wait; the rest is read nevertheless.
    ///   - clock: Measures that time.
    /// - Returns: what is known of each file, in order.
    package func knowledge(
        of urls: [URL], atMost limit: Duration, clock: any Clock<Duration> = ContinuousClock()
    ) async -> [Knowledge] {
        let stamps = urls.prefix(maximumFiles).map { FileStamp(path: $0.path) }
        let present = Set(stamps.compactMap(\.self))
        drop { !present.contains($0) }
        for (url, stamp) in zip(urls, stamps) {
            guard let stamp, entries[stamp] == nil else { continue }
            entries[stamp] = Entry(url: url, knowledge: .pending(stamp.size))
            queue.append(stamp)
        }
        startNext()
        await wait(for: stamps.compactMap { $0.flatMap { entries[$0]?.done } }, limit, clock)
        return stamps.map { stamp in
            guard let stamp else { return .unreadable }
            return entries[stamp]?.knowledge ?? .pending(stamp.size)
        } + urls.dropFirst(maximumFiles).map { _ in .unreadable }
    }

    /// Records the facts of a file that was read elsewhere.
    package func record(_ facts: LoRAFacts, of url: URL) {
        guard let stamp = FileStamp(path: url.path), entries.count < maximumFiles else { return }
        let entry = entries[stamp] ?? Entry(url: url, knowledge: .pending(stamp.size))
        drop { $0.path == stamp.path && $0 != stamp }
        entries[stamp] = entry
        queue.removeAll { $0 == stamp }
        finish(stamp, entry, .facts(facts))
    }

    /// Drops what is known of a file that was removed.
    package func forget(_ url: URL) { drop { $0.path == url.path } }

    private func wait(
        for promises: [Promise<Void>], _ limit: Duration, _ clock: any Clock<Duration>
    ) async {
        guard limit > .zero, promises.contains(where: { $0.current == nil }) else { return }
        let deadline = Promise<Void>()
        let timer = Task {
            try await clock.sleep(for: limit)
            deadline.fulfil(())
        }
        defer { timer.cancel() }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { _ = await deadline.wait() }
            group.addTask { for promise in promises { _ = await promise.wait() } }
            await group.next()
            group.cancelAll()
        }
    }

    private func drop(where isDropped: (FileStamp) -> Bool) {
        guard entries.keys.contains(where: isDropped) else { return }
        queue.removeAll(where: isDropped)
        for (stamp, entry) in entries where isDropped(stamp) {
            if case .facts(let facts) = entry.knowledge {
                thumbnailBytes -= facts.thumbnail?.count ?? 0
            }
            entries[stamp] = nil
            entry.done.fulfil(())
        }
    }

    private func startNext() {
        while running < width, !queue.isEmpty {
            let stamp = queue.removeFirst()
            guard let entry = entries[stamp] else { continue }
            running += 1
            Task { await self.load(stamp, entry) }
        }
    }

    private func load(_ stamp: FileStamp, _ entry: Entry) async {
        do {
            finish(stamp, entry, .facts(try await reader(entry.url)))
        } catch is LoRAFacts.Refusal {
            finish(stamp, entry, .unreadable)
        } catch {
            // The file was not read: the next list tries again.
            entries[stamp] = nil
            entry.done.fulfil(())
        }
        running -= 1
        startNext()
    }

    private func finish(_ stamp: FileStamp, _ entry: Entry, _ knowledge: Knowledge) {
        defer { entry.done.fulfil(()) }
        // It was dropped meanwhile, or has changed while it was read: then the next list has another stamp.
        guard case .pending? = entries[stamp]?.knowledge else { return }
        var knowledge = knowledge
        if case .facts(var facts) = knowledge, let size = facts.thumbnail?.count {
            if thumbnailBytes + size > maximumBytes {
                facts.thumbnail = nil
                knowledge = .facts(facts)
            } else {
                thumbnailBytes += size
            }
        }
        entries[stamp]?.knowledge = knowledge
    }
}
