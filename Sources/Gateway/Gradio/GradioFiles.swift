// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Service

/// Makes the files in answers to one client.
struct GradioFiles: Sendable {
    let links: ImageLinks
    let key: APIKey?
    /// The URL of the service without a slash at its end.
    let base: String

    /// A PNG file that the client may fetch, by its path under `/gradio_api/file=` or by its URL.
    func file(_ path: String) -> JSONValue {
        let signed = links.filePath(path, for: key)
        return [
            "path": .string(signed), "url": .string(base + SignedURL.resource(ofFile: signed)),
            "orig_name": .string(path.split(separator: "/").last.map(String.init) ?? path),
            "mime_type": "image/png", "is_stream": false,
            "meta": ["_type": "gradio.FileData"],
        ]
    }
}
