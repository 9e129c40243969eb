// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Logging
import Synchronization
import Telemetry
import Testing

@Suite struct AccessLogTests {
    private func entry(
        path: String = "/v1/images/generations", userAgent: String? = "curl/8", code: String = "ok",
        generation: AccessLogEntry.Generation? = nil
    ) -> AccessLogEntry {
        AccessLogEntry(
            time: 1_791_640_536.1204, remoteAddress: "127.0.0.1", method: "POST", path: path,
            status: 200, bytes: 123_456, referer: nil, userAgent: userAgent,
            requestSeconds: 1.2345, requestID: "r-1", code: code, traceID: nil,
            generation: generation)
    }

    private var generation: AccessLogEntry.Generation {
        var made = AccessLogEntry.Generation(
            model: "tiny", images: 2, steps: 8, width: 128, height: 64)
        (made.engineSeconds, made.queueSeconds, made.runSeconds) = (1.2, 0.0004, 1.1996)
        return made
    }

    @Test("a line is nginx's combined, then pairs")
    func combined() {
        #expect(
            entry().combined
                == "127.0.0.1 - - [10/Oct/2026:13:55:36 +0000] \"POST /v1/images/generations HTTP/1.1\""
                + " 200 123456 \"-\" \"curl/8\" rt=1.235 urt=- id=r-1 msec=1791640536.120 code=ok"
                + " q=- run=- n=- steps=- size=- model=- trace=-")
        #expect(
            entry(generation: generation).combined.hasSuffix(
                " rt=1.235 urt=1.200 id=r-1 msec=1791640536.120 code=ok q=0.000 run=1.200 n=2"
                    + " steps=8 size=128x64 model=tiny trace=-"))
    }

    @Test("nothing that a client says breaks a line or its quotes")
    func hostile() {
        let line = entry(path: "/a\"b\n\\", userAgent: "evil\" 200\r\n127.0.0.1 \u{7F}é").combined
        #expect(line.contains(#""POST /a\x22b\x0A\x5C HTTP/1.1""#))
        #expect(line.contains(#""evil\x22 200\x0D\x0A127.0.0.1 \x7F\xC3\xA9""#))
        #expect(line.utf8.allSatisfy { (0x20...0x7E).contains($0) })
    }

    @Test("JSON has the same fields")
    func json() throws {
        let line = entry(path: "/a\n\"", generation: generation).json
        #expect(!line.contains("\n"))
        let read = try #require(
            try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        #expect(read["time"] as? String == "2026-10-10T13:55:36.120Z")
        #expect(read["path"] as? String == "/a\n\"")
        #expect(read["status"] as? Int == 200 && read["bytes"] as? Int == 123_456)
        #expect(read["request_time"] as? Double == 1.235)
        #expect(read["upstream_time"] as? Double == 1.2)
        #expect(read["request_id"] as? String == "r-1" && read["code"] as? String == "ok")
        #expect(read["size"] as? String == "128x64" && read["n"] as? Int == 2)
        #expect(read["trace_id"] == nil)
    }

    @Test("after rotation lines go to the new file, and none is lost")
    func reopen() throws {
        let folder = FileManager.default.temporaryDirectory.appending(
            path: "inkstone-log-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let (path, old) = (folder.path + "/access.log", folder.path + "/access.log.1")
        let log = try AccessLog(path: path)
        log.write(entry(code: "first"))
        try FileManager.default.moveItem(atPath: path, toPath: old)
        log.write(entry(code: "second"))
        try log.reopen()
        log.write(entry(code: "third"))
        let before = try String(contentsOfFile: old, encoding: .utf8)
        #expect(before.contains("code=first ") && before.contains("code=second "))
        #expect(before.split(separator: "\n").count == 2)
        let after = try String(contentsOfFile: path, encoding: .utf8)
        #expect(after.contains("code=third ") && after.split(separator: "\n").count == 1)
        // A second program appends to the same file.
        try AccessLog(path: path).write(entry(code: "fourth"))
        let both = try String(contentsOfFile: path, encoding: .utf8)
        #expect(both.split(separator: "\n").count == 2)
        // If the file cannot be reopened, the old one stays open.
        try FileManager.default.removeItem(at: folder)
        #expect(throws: LogFileError.self) { try log.reopen() }
        log.write(entry())
        #expect(log.lostLines == 0)
    }

    @Test("a file that cannot be opened is reported in one sentence")
    func cannotOpen() {
        let error = #expect(throws: LogFileError.self) {
            try AccessLog(path: "/no/such/folder/access.log")
        }
        #expect(
            error?.description == "The log file '/no/such/folder/access.log' cannot be opened:"
                + " No such file or directory; choose another file, or '-' for standard output.")
    }

    @Test(
        "a full disk loses lines, not the service",
        .enabled(if: FileManager.default.fileExists(atPath: "/dev/full")))
    func full() throws {
        let log = try AccessLog(path: "/dev/full")
        log.write(entry())
        log.write(entry())
        #expect(log.lostLines == 2)
    }

    @Test("the program's log is JSON by option, with our own names first")
    func jsonLog() throws {
        let lines = Lines()
        var logger = Logger(label: "test") { label in
            JSONLogHandler(label: label) { line in lines.all.withLock { $0.append(line) } }
        }
        logger[metadataKey: "request.id"] = "r-1"
        logger.info("two\nlines", metadata: ["http.status": "200", "level": "forged"])
        logger.debug("not shown")
        let written = lines.all.withLock { $0 }
        #expect(written.count == 1 && !written[0].contains("\n"))
        let read = try #require(
            try JSONSerialization.jsonObject(with: Data(written[0].utf8)) as? [String: String])
        #expect(read["message"] == "two\nlines" && read["level"] == "info")
        #expect(read["request.id"] == "r-1" && read["http.status"] == "200")
        #expect(read["label"] == "test" && read["time"]?.hasSuffix("Z") == true)
    }

    private final class Lines: Sendable {
        let all = Mutex<[String]>([])
    }
}
