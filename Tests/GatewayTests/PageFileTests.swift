// Part of Inkstone. Licence: see LICENSE.

import Foundation
import HTTPTypes
import NIOCore
import Testing

@Suite struct PageFileTests {
    private static let scripts = [
        "actions", "api", "app", "benchmarks", "clipboard", "compare", "completion",
        "connection", "control", "details", "dom", "drop", "facts", "fields", "forecast",
        "gallery", "grid", "hints", "infotext", "inputs", "keep", "keys", "language", "loras",
        "mask", "messages", "metrics", "modes", "more", "pictures", "progress", "queue",
        "recall", "runner", "sampling", "seeds", "settings", "sheet", "sizes", "source", "stage",
        "status", "store", "strip", "styles", "tell", "viewer", "views", "words", "work", "zip",
    ]

    @Test("every file of the page's folder is in the program, byte for byte")
    func completeness() async throws {
        let folder = URL(filePath: #filePath)
            .appending(path: "../../../Sources/Gateway/Page").standardizedFileURL
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        try await withGateway(try FakeGenerator()) { client in
            for name in names {
                let path =
                    switch name {
                    case "index.html": "/"
                    case "openapi.json": "/api/" + name
                    default: "/assets/" + name
                    }
                let content = try Data(contentsOf: folder.appending(path: name))
                let response = try await client.get(path)
                #expect(Array(buffer: response.body) == Array(content), "\(name)")
            }
        }
    }

    @Test(
        "page files have their types",
        arguments: [
            ("/", "text/html; charset=utf-8"), ("/assets/style.css", "text/css; charset=utf-8"),
            ("/assets/app.js", "text/javascript; charset=utf-8"),
            ("/assets/zh.json", "application/json; charset=utf-8"),
            ("/assets/icon.svg", "image/svg+xml"),
        ])
    func types(path: String, type: String) async throws {
        try await withGateway(try FakeGenerator()) { client in
            let response = try await client.get(path)
            #expect(response.status == .ok)
            #expect(response.headers[.contentType] == type)
            #expect(response.headers[.xContentTypeOptions] == "nosniff")
            #expect(response.headers[.cacheControl] == "no-cache")
            let policy = try #require(response.headers[.contentSecurityPolicy])
            #expect(policy.contains("default-src 'none'") && !policy.contains("unsafe"))
            for part in ["script-src 'self'", "frame-ancestors 'none'"] {
                #expect(policy.components(separatedBy: "; ").contains(part), "\(policy)")
            }
            let tag = try #require(response.headers[.eTag])
            let again = try await client.get(path, headers: [.ifNoneMatch: tag])
            #expect(again.status == .notModified && again.body.readableBytes == 0)
            let changed = try await client.get(path, headers: [.ifNoneMatch: "\"0\""])
            #expect(changed.status == .ok)
        }
    }

    @Test(
        "no path refers to other files",
        arguments: [
            "/assets/../Package.swift", "/assets/%2e%2e/Package.swift", "/assets/",
            "/..%2f..%2fetc/passwd", "/assets/app.js%00.css", "//etc/passwd",
            "/v1/images/files/../../etc/passwd", "/v1/images/files/..%2f..%2f..%2fetc%2fpasswd",
            "/v1/images/files/%2fetc%2fpasswd", "/gradio_api/file=/etc/passwd",
        ])
    func traversal(path: String) async throws {
        try await withGateway(try FakeGenerator()) { client in
            let response = try await client.get(path)
            #expect(response.status == .notFound)
        }
    }

    @Test("the page refers to files that exist, by relative addresses, and has nothing inline")
    func references() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let html = try await client.get("/").text
            let references = html.matches(of: /(?:href|src)="([^"#][^"]*)"/).map { $0.1 }
            #expect(references.count >= 5)
            for reference in references {
                #expect(reference.hasPrefix("assets/"))
                #expect(try await client.get("/\(reference)").status == .ok, "\(reference)")
            }
            let inline = /<style|\sstyle="|\son[a-z]+="|<script(?![^>]*src=)/
            #expect(html.firstMatch(of: inline) == nil)
            for script in Self.scripts {
                let text = try await client.get("/assets/\(script).js").text
                for reference in text.matches(of: /(?:from |import\(|part\('\w+', )'\.\/([^']+)'/)
                    .map({
                        $0.1
                    })
                {
                    #expect(try await client.get("/assets/\(reference)").status == .ok)
                }
                #expect(!text.contains("http://") && !text.contains("https://"))
                // Texts become nodes of text, never markup.
                #expect(text.firstMatch(of: /innerHTML|outerHTML|insertAdjacentHTML/) == nil)
            }
        }
    }

    @Test("every element that the scripts use is on the page")
    func elements() async throws {
        try await withGateway(try FakeGenerator()) { client in
            let html = try await client.get("/").text
            let ids = Set(html.matches(of: /\bid="([^"]+)"/).map { String($0.1) })
            for script in Self.scripts {
                let text = try await client.get("/assets/\(script).js").text
                for wanted in text.matches(of: /\$\('([^']+)'\)/).map({ String($0.1) }) {
                    #expect(ids.contains(wanted), "\(script).js wants #\(wanted)")
                }
            }
            for target in html.matches(of: /\b(?:for|aria-labelledby)="([^"]+)"/) {
                #expect(ids.contains(String(target.1)))
            }
        }
    }

    @Test("both languages have every text that the page uses, with the same placeholders")
    func languages() async throws {
        try await withGateway(try FakeGenerator()) { client in
            var tables: [[String: String]] = []
            for language in ["en", "zh"] {
                var texts: [String: String] = [:]
                // Texts of what is loaded on demand are in a file of their own.
                for group in ["", "more-"] {
                    let path = "/assets/\(group)\(language).json"
                    let table = try await client.get(path).object()
                    texts.merge(try #require(table as? [String: String])) { first, _ in
                        Issue.record("a text is in two files of \(language): \(first)")
                        return first
                    }
                }
                tables.append(texts)
            }
            #expect(Set(tables[0].keys) == Set(tables[1].keys))
            for (key, english) in tables[0] {
                let gaps = { (text: String) in Set(text.matches(of: /\{\w+\}/).map { $0.0 }) }
                let chinese = try #require(tables[1][key])
                #expect(gaps(english) == gaps(chinese), "\(key)")
                #expect(!english.isEmpty && !chinese.isEmpty)
            }
            let html = try await client.get("/").text
            for (_, key) in html.matches(of: /data-i18n(?:-label|-placeholder|-alt)?="([^"]+)"/)
                .map(
                    \.output)
            {
                #expect(tables[0][String(key)] != nil, "\(key)")
            }
            for script in Self.scripts {
                let text = try await client.get("/assets/\(script).js").text
                for (_, key) in text.matches(
                    of: /(?:\bt\(|\b(?:i18n|label|placeholder): )'([^']+)'/
                ).map(\.output) {
                    #expect(tables[0][String(key)] != nil, "\(key)")
                }
            }
        }
    }
}
