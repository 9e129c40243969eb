// Part of Inkstone. Licence: see LICENSE.

import Basics
import CPage
import HTTPTypes
import Hummingbird
import ModelFiles

/// A file of the page, embedded in the program.
struct PageFile: Sendable {
    let bytes: [UInt8]
    let type: String
    /// Changes with the content.
    let entityTag: String

    init(_ bytes: some Collection<UInt8>, type: String) {
        let bytes = Array(bytes)
        self.bytes = bytes
        self.type = type
        self.entityTag = "\"\(SHA256.hexadecimal(bytes).prefix(16))\""
    }
}

/// The page's files by path.
///
/// Paths are looked up in this table only, so that no path can refer to another file.
enum PageFiles {
    /// Every file, under the path relative to the page's root.
    static let all: [String: PageFile] = {
        var count = 0
        let files = UnsafeBufferPointer(start: page_files(&count), count: count)
        return Dictionary(
            uniqueKeysWithValues: files.map { file in
                let bytes = UnsafeBufferPointer(start: file.bytes, count: file.length)
                return (
                    String(cString: file.path),
                    PageFile(Array(bytes), type: String(cString: file.type))
                )
            })
    }()

    /// Allows the page's own files and the images that it creates.
    static let contentSecurityPolicy = [
        "default-src 'none'", "script-src 'self'", "style-src 'self'",
        "img-src 'self' data: blob:", "connect-src 'self'", "base-uri 'none'",
        "form-action 'none'", "frame-ancestors 'none'",
    ].joined(separator: "; ")

    static let headers: HTTPFields = [
        .contentSecurityPolicy: contentSecurityPolicy,
        .referrerPolicy: "no-referrer",
        .openerPolicy: "same-origin",
        .resourcePolicy: "same-origin",
        .permissionsPolicy: "camera=(), geolocation=(), microphone=()",
        // Cached by the browser, but revalidated each time: a new program shows its new page.
        .cacheControl: "no-cache",
    ]
}

extension PageFile {
    /// The file for a client; the description of the API names the address of the service if a proxy or the
    /// configuration states it: tools would take the root of the host for it.
    func naming(_ address: ServiceAddress, in path: String) -> PageFile {
        guard path == "api/openapi.json", address.isStated,
            let brace = bytes.firstIndex(of: UInt8(ascii: "{"))
        else { return self }
        let servers: JSONValue = [["url": .string(address.base)]]
        let line = Array("\n  \"servers\": ".utf8) + jsonBytes(servers) + Array(",".utf8)
        return PageFile(bytes[...brace] + line + bytes[(brace + 1)...], type: type)
    }

    /// The file, or 304 if the client has it already.
    func response(to request: Request) -> Response {
        let known = request.headers[values: .ifNoneMatch].joined(separator: ",")
        var response =
            known.contains(entityTag)
            ? Response(status: .notModified) : Response.bytes(bytes, type: type)
        response.headers.append(contentsOf: PageFiles.headers)
        response.headers[.eTag] = entityTag
        return response
    }
}
