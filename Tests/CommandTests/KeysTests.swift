// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Testing

/// `inkstone keys`, beside a server that uses the same folder.
@Suite(.serialized, .timeLimit(.minutes(3))) struct KeysTests {
    private func status(_ path: String, _ key: String, _ server: RunningServer) throws -> Substring
    {
        let answer = try server.exchange(
            "GET \(path) HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \(key)\r\n"
                + "Connection: close\r\n\r\n")
        return answer.dropFirst(9).prefix(3)
    }

    @Test("the last key is revoked: the command says what happens, and the server stays closed")
    func lastKey() async throws {
        let folder = try TemporaryFolder()
        func keys(_ arguments: String...) async throws -> Program.Result {
            let result = try await Program.run(
                ["keys"] + arguments + ["--data", "data"], in: folder)
            #expect(result.status == 0 && result.errors == "", "\(result.errors)")
            return result
        }
        let ann = try await keys("add", "ann").output.trimmingCharacters(in: .newlines)
        _ = try await keys("add", "bob")
        let server = try RunningServer(in: folder)
        #expect(try status("/v1/models", ann, server) == "200")
        #expect(try await keys("revoke", "bob").output == "")
        #expect(try status("/v1/models", ann, server) == "200")
        let last = try await keys("revoke", "ann").output
        #expect(last.contains("inkstone keys add NAME"))
        for name in ["keys.json", "keys.required"] {
            #expect(last.contains("data/\(name)"))
            #expect(FileManager.default.fileExists(atPath: folder.path("data/\(name)")))
        }
        try server.wait("the revocation") { try status("/v1/models", ann, server) == "401" }
        #expect(try status("/livez", ann, server) == "200")
        server.process.terminate()
        server.process.waitUntilExit()
        try FileManager.default.removeItem(atPath: folder.path("data/keys.json"))
        let next = try RunningServer(in: folder)
        #expect(try status("/v1/models", ann, next) == "503")
        #expect(try next.text("err").contains("keys cannot be read"))
    }
}
