// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Testing

/// `serve --config`.
@Suite(.serialized, .timeLimit(.minutes(3))) struct ConfigTests {
    /// What the program says of a configuration that it cannot use.
    private func refusal(_ text: String, _ more: String...) async throws -> (Int32, String) {
        let folder = try TemporaryFolder()
        try folder.write(text, to: "inkstone.yaml")
        let result = try await Program.run(
            ["serve", "--config", "inkstone.yaml", "--data", "data"] + more, in: folder)
        return (result.status, result.errors)
    }

    @Test("an invalid configuration is reported with its line")
    func refusals() async throws {
        for (text, words) in [
            (
                "host: 127.0.0.1\nprot: 9997\n",
                "Line 2 of 'inkstone.yaml': prot: Unknown option '--prot'"
            ),
            (
                "port: many\n",
                "Line 1 of 'inkstone.yaml': port: The value 'many' is invalid for '--port <port>'"
            ),
            (
                "\nworkers: 0\n",
                "Line 2 of 'inkstone.yaml': workers: --workers must be between 1 and 64, got 0."
            ),
            (
                "port: {a: 1}\n",
                "Line 1 of 'inkstone.yaml': port: the value must be a text, a number, or a list"
            ),
            ("config: other.yaml\n", "a configuration cannot include another one"),
            ("port: [\n", "is not valid YAML"),
            ("- port\n", "must hold lines such as 'port: 9997'"),
            (
                "#" + String(repeating: "x", count: 65_535) + "\n",
                "has 65537 bytes, expected at most 65536"
            ),
            (
                "port: 1\nallowed-host: [" + String(repeating: "a,", count: 999) + "a]\n",
                "has 1001 values, expected at most 1000"
            ),
            (
                "model: " + String(repeating: "[", count: 60_000),
                "is not valid YAML"
            ),
        ] {
            let (status, errors) = try await refusal(text)
            #expect(status == 64, "\(text.prefix(40))")
            #expect(errors.contains(words), "\(errors)")
        }
        let missing = try await Program.run(
            ["serve", "--config", "none.yaml"], in: try TemporaryFolder())
        #expect(missing.status == 66)
        #expect(missing.errors.contains("'none.yaml' does not exist"))
    }

    @Test("the command line counts before the file, and SIGHUP reads the file again")
    func reload() throws {
        let folder = try TemporaryFolder()
        // 9 is taken from the file only if the command line does not count.
        try folder.write("port: 9\nallowed-origin: []\nlog-format: json\n", to: "inkstone.yaml")
        let server = try RunningServer(["--config", "inkstone.yaml"], in: folder)
        func preflight() throws -> String {
            try server.exchange(
                "OPTIONS /v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                    + "Origin: https://example.org\r\nAccess-Control-Request-Method: GET\r\n\r\n")
        }
        #expect(try preflight().hasPrefix("HTTP/1.1 403"))
        try folder.write(
            "allowed-origin: [https://example.org]\nworkers: 2\n", to: "inkstone.yaml")
        kill(server.process.processIdentifier, SIGHUP)
        try server.wait("the news") { try server.text("err").contains("configuration read again") }
        #expect(try preflight().hasPrefix("HTTP/1.1 204"))
        #expect(try server.text("err").contains(#""settings":"workers""#))
        try folder.write("allowed-origin: {}\n", to: "inkstone.yaml")
        kill(server.process.processIdentifier, SIGHUP)
        try server.wait("the error") {
            try server.text("err").contains("configuration kept as it was")
        }
        #expect(try preflight().hasPrefix("HTTP/1.1 204"))
    }

    @Test("the example starts a server")
    func example() throws {
        let folder = try TemporaryFolder()
        let example = Program.repository.appending(path: "Deploy/inkstone.yaml")
        let server = try RunningServer(["--config", example.path], in: folder)
        #expect(try server.get("/readyz").hasPrefix("HTTP/1.1 200"))
    }

    @Test("the example names every option")
    func exampleIsComplete() throws {
        let example = try String(
            contentsOf: Program.repository.appending(path: "Deploy/inkstone.yaml"), encoding: .utf8)
        let help = try String(
            contentsOf: Program.repository.appending(
                path: "Tests/CommandTests/Snapshots/inkstone-serve.txt"), encoding: .utf8)
        let options = help.matches(of: /(?m)^ +(?:-\w, )?--([a-z-]+)/).map { String($0.1) }
        #expect(options.count > 40)
        for option in options where !["config", "version", "help"].contains(option) {
            #expect(example.contains(try Regex("(?m)^(# )?\(option):")), "\(option) is missing")
        }
    }

    @Test("a backup of a running server's data is a data folder")
    func backup() async throws {
        let folder = try TemporaryFolder()
        let server = try RunningServer(in: folder)
        let request =
            #"{"prompt": "a cat", "steps": 2, "size": "64x64", "seed": 3, "request_id": "kept"}"#
        #expect(try server.post("/v1/images/generations", request).hasPrefix("HTTP/1.1 200"))
        let result = try await Program.run(["backup", "copy", "--data", "data"], in: folder)
        #expect(result.status == 0)
        #expect(result.output == "copied the jobs and 1 image to copy\n")
        let again = try await Program.run(["backup", "copy", "--data", "data"], in: folder)
        #expect(again.status == 70)
        #expect(
            again.errors.contains("'copy' exists already")
                || again.errors.contains("exists already"))
        func picture(_ server: RunningServer) throws -> Substring? {
            try server.get("/api/jobs/kept/images/0").split(separator: "\r\n\r\n").last
        }
        let original = try #require(try picture(server))
        let copyFolder = try TemporaryFolder()
        let second = try RunningServer(["--data", folder.path("copy")], in: copyFolder)
        #expect(try picture(second) == original)
        let none = try await Program.run(["backup", "b", "--data", "nowhere"], in: folder)
        #expect(none.status == 66)
        #expect(none.errors.contains("There are no jobs in"))
    }
}
