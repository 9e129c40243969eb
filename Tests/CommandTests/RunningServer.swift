// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Testing

/// `inkstone serve` as a process of its own, on ports that the system chose.
final class RunningServer {
    let folder: TemporaryFolder
    let process = Process()
    private(set) var port: UInt16 = 0

    /// Starts the program and waits until the model is loaded.
    init(
        _ arguments: [String] = [], in folder: TemporaryFolder, environment: [String: String] = [:]
    ) throws {
        self.folder = folder
        for name in ["out", "err"] { try folder.write("", to: name) }
        process.executableURL = try Program.find()
        process.arguments =
            [
                "serve", "--port", "0", "--page-port", "0", "--threads", "1", "--no-weight-cache",
                "--data", "data",
            ]
            + arguments
        process.currentDirectoryURL = folder.url
        process.environment = Program.environment(home: folder.url, environment)
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try FileHandle(forWritingTo: folder.url.appending(path: "out"))
        process.standardError = try FileHandle(forWritingTo: folder.url.appending(path: "err"))
        try process.run()
        try wait("the server to load its model") {
            let text = try self.text("out")
            guard text.contains("loaded in"),
                let address = text.firstMatch(of: /API +http:\/\/127\.0\.0\.1:(\d+)/)
            else { return false }
            self.port = UInt16(address.1) ?? 0
            return true
        }
    }

    deinit {
        if process.isRunning { process.terminate() }
    }

    /// What the program wrote to a file of its folder.
    func text(_ name: String) throws -> String {
        try String(contentsOf: folder.url.appending(path: name), encoding: .utf8)
    }

    /// Waits until something is so, 60 seconds at most.
    func wait(_ what: String, until isTrue: () throws -> Bool) throws {
        let end = ContinuousClock.now + .seconds(60)
        while try !isTrue() {
            try #require(ContinuousClock.now < end, "waited too long for \(what)")
            let errors = try text("err")
            try #require(process.isRunning, "the server has ended: \(errors)")
            usleep(10_000)
        }
    }

    /// Sends a request on a connection of its own and reads the whole answer; `onRead` receives everything
    /// read so far after each read.
    func exchange(
        _ request: String, onRead: (String) throws -> Void = { _ in }
    ) throws -> String {
        let connection = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        try #require(connection >= 0)
        defer { close(connection) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(connection, $0, size) }
        }
        try #require(status == 0)
        let bytes = Array(request.utf8)
        try #require(
            send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count)
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = recv(connection, &buffer, buffer.count, 0)
            guard count > 0 else { break }
            answer += buffer[..<count]
            try onRead(String(decoding: answer, as: UTF8.self))
        }
        return String(decoding: answer, as: UTF8.self)
    }

    /// Gets a path under a request id.
    func get(_ path: String, id: String = "none") throws -> String {
        try exchange(
            "GET \(path) HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: \(id)\r\nConnection: close\r\n\r\n"
        )
    }

    /// Posts JSON.
    func post(_ path: String, _ json: String) throws -> String {
        try exchange(
            "POST \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                + "Content-Length: \(json.utf8.count)\r\n\r\n\(json)")
    }
}
