// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Testing

/// `--help` word by word; `INKSTONE_UPDATE_SNAPSHOTS=1` writes the files again.
@Suite struct HelpTests {
    private static let snapshots = Program.repository.appending(
        path: "Tests/CommandTests/Snapshots")

    @Test(
        "help is what the snapshot says",
        arguments: [
            "", "generate", "serve", "models", "models list", "models show", "models pull",
            "models quantize", "models remove", "doctor", "verify", "benchmark", "keys", "keys add",
            "backup", "restore", "mcp", "lora", "lora inspect", "lora merge",
        ])
    func help(command: String) async throws {
        let folder = try TemporaryFolder()
        let words = command.split(separator: " ").map(String.init)
        let result = try await Program.run(words + ["--help"], in: folder)
        #expect(result.status == 0)
        #expect(result.errors.isEmpty)
        let name = (["inkstone"] + words).joined(separator: "-") + ".txt"
        let file = Self.snapshots.appending(path: name)
        if ProcessInfo.processInfo.environment["INKSTONE_UPDATE_SNAPSHOTS"] == "1" {
            try Data(result.output.utf8).write(to: file)
        }
        let snapshot = try String(contentsOf: file, encoding: .utf8)
        #expect(result.output == snapshot)
    }

    @Test("no command at all shows the help")
    func nothing() async throws {
        let folder = try TemporaryFolder()
        let bare = try await Program.run([], in: folder)
        let help = try await Program.run(["-h"], in: folder)
        #expect(bare.status == 0)
        #expect(bare.output == help.output)
    }

    @Test("the version is the program's name and three numbers")
    func version() async throws {
        let result = try await Program.run(["--version"], in: try TemporaryFolder())
        #expect(result.status == 0)
        #expect(result.output.wholeMatch(of: /inkstone \d+\.\d+\.\d+\n/) != nil)
    }
}
