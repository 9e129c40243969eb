// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Gateway
import HTTPTypes
import NIOCore
import Testing

@Suite("Results of load tests") struct BenchmarkRouteTests {
    /// A folder with two runs, and things that must not be served.
    private func withRuns(_ test: @Sendable (TestClient) async throws -> Void)
        async throws
    {
        let manager = FileManager.default
        let root = manager.temporaryDirectory.appending(path: "inkstone-runs-\(UUID().uuidString)")
        defer { try? manager.removeItem(at: root) }
        let runs = root.appending(path: "runs")
        func write(_ path: String, _ text: String) throws {
            let url = root.appending(path: path)
            try manager.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try text.write(to: url, atomically: true, encoding: .utf8)
        }
        try write("secret/summary.json", "{}")
        try write("runs/20260101T101500Z-first/summary.json", #"{"verdict": "ok"}"#)
        try write("runs/20260101T101500Z-first/table.md", "| users |\n")
        try write("runs/20260102T101500Z-second/report.html", "<p>hello")
        try write("runs/20260102T101500Z-second/access.log", "private")
        try write("runs/empty/other.txt", "")
        try write("runs/.hidden/summary.json", "{}")
        try manager.createSymbolicLink(
            at: runs.appending(path: "linked"), withDestinationURL: root.appending(path: "secret"))
        try manager.createSymbolicLink(
            at: runs.appending(path: "20260102T101500Z-second/table.md"),
            withDestinationURL: root.appending(path: "secret/summary.json"))
        try await withGateway(try FakeGenerator(), configure: { $0.benchmarks = runs }) {
            try await test($0)
        }
    }

    @Test("runs are listed with their files, the newest first")
    func list() async throws {
        try await withRuns { client in
            let list = try await client.get("/api/benchmarks").object()
            let data = try #require(list["data"] as? [[String: Any]])
            #expect(
                data.compactMap { $0["name"] as? String } == [
                    "20260102T101500Z-second", "20260101T101500Z-first",
                ])
            #expect(
                data.compactMap { $0["files"] as? [String] } == [
                    ["report.html"], ["summary.json", "table.md"],
                ])
        }
    }

    @Test("files are served with their types, and a report runs no scripts")
    func files() async throws {
        try await withRuns { client in
            let table = try await client.get("/api/benchmarks/20260101T101500Z-first/table.md")
            #expect(table.text == "| users |\n")
            #expect(table.headers[.contentType] == "text/markdown; charset=utf-8")
            let report = try await client.get("/api/benchmarks/20260102T101500Z-second/report.html")
            #expect(report.text == "<p>hello")
            let policy = try #require(report.headers[.contentSecurityPolicy])
            #expect(policy.hasPrefix("sandbox; default-src 'none'"))
        }
    }

    @Test(
        "nothing else is served",
        arguments: [
            "20260102T101500Z-second/access.log", "20260102T101500Z-second/table.md",
            "linked/summary.json", ".hidden/summary.json", "..%2fsecret/summary.json",
            "../secret/summary.json", "none/summary.json", "%2e%2e/summary.json",
        ])
    func refused(path: String) async throws {
        try await withRuns { client in
            let response = try await client.get("/api/benchmarks/\(path)")
            #expect(response.status == .notFound)
        }
    }

    @Test("without a folder there are no runs")
    func none() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let list = try await client.get("/api/benchmarks").object()
            #expect((list["data"] as? [Any])?.isEmpty == true)
        }
    }
}
