// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Service
import Synchronization
import Testing

@Suite("A worker's process", .timeLimit(.minutes(5)))
struct WorkerProcessTests {
    private final class Lines: Sendable {
        let all = Mutex<[String]>([])
        let isDone = Mutex(false)
    }

    #if os(Linux)
        @Test("a process has no file of this one, whatever other threads open while it starts")
        func descriptors() async throws {
            let lines = Lines()
            let opener = Thread {
                while !lines.isDone.withLock({ $0 }) {
                    // As libraries make them, which know nothing of processes.
                    var ends: [Int32] = [0, 0]
                    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0 else {
                        return
                    }
                    ends.forEach { close($0) }
                }
            }
            opener.start()
            defer { lines.isDone.withLock { $0 = true } }
            for _ in 0..<50 {
                let process = try WorkerProcess(
                    program: "/bin/sh", arguments: ["-c", "readlink /proc/$$/fd/*"],
                    log: { line in lines.all.withLock { $0.append(line) } })
                process.logLines()
                _ = await process.waitForEnd()
            }
            let all = lines.all.withLock { $0 }
            #expect(all.contains { $0.hasPrefix("pipe:") })
            #expect(all.filter { $0.hasPrefix("socket:") }.isEmpty)
        }
    #endif
}
