// Part of Inkstone. Licence: see LICENSE.

import Foundation

extension ModelManifest {
    /// An identifier from a folder's name; for a download cache, from the repository's.
    static func identifier(of url: URL) -> String {
        let parts = url.standardizedFileURL.path.split(separator: "/").map(String.init)
        var name = parts.last ?? "model"
        for suffix in WeightFile.suffixes where name.lowercased().hasSuffix(suffix) {
            name.removeLast(suffix.count)
        }
        // …/models--OWNER--NAME/snapshots/REVISION
        if parts.count >= 3, parts[parts.count - 2] == "snapshots" {
            let repository = parts[parts.count - 3]
            if repository.hasPrefix("models--"), let range = repository.lastRange(of: "--") {
                name = String(repository[range.upperBound...])
            }
        }
        let allowed = String(
            name.unicodeScalars.prefix(100).map { scalar in
                isIdentifier("a\(scalar)") ? Character(scalar) : "-"
            })
        return isIdentifier(allowed) ? allowed : "model"
    }
}

extension String {
    /// The last place where `text` occurs.
    fileprivate func lastRange(of text: String) -> Range<String.Index>? {
        var found: Range<String.Index>?
        var start = startIndex
        while let range = self[start...].firstRange(of: text) {
            found = range
            start = range.upperBound
        }
        return found
    }
}
