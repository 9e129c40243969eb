// Part of Inkstone. Licence: see LICENSE.

import Basics
package import Foundation

/// SHA-256 as text.
package enum Digest {
    /// 64 hexadecimal digits.
    package static func text(_ data: Data) -> String {
        data.withUnsafeBytes { SHA256.digest($0).hexadecimal }
    }
}

/// Which program wrote a result.
package enum LoadTestingVersion {
    package static let version = "0.1.0"

    /// The commit of the working copy that the program runs in, where there is one.
    package static var commit: String? {
        // The program may be run from anywhere: what counts is where it lies.
        var folder = URL(filePath: CommandLine.arguments.first ?? "").resolvingSymlinksInPath()
        while folder.path.count > 1 {
            folder.deleteLastPathComponent()
            if let commit = head(of: folder) { return commit }
        }
        return nil
    }

    private static func head(of folder: URL) -> String? {
        var git = folder.appending(path: ".git")
        if let text = try? String(contentsOf: git, encoding: .utf8), text.hasPrefix("gitdir: ") {
            git = URL(filePath: text.dropFirst(8).trimmingCharacters(in: .whitespacesAndNewlines))
        }
        guard
            let head = try? String(contentsOf: git.appending(path: "HEAD"), encoding: .utf8)
                .trimmingCharacters(in: .whitespacesAndNewlines)
        else { return nil }
        guard head.hasPrefix("ref: ") else { return String(head.prefix(12)) }
        let name = String(head.dropFirst(5))
        var places = [git]
        if let common = try? String(
            contentsOf: git.appending(path: "commondir"), encoding: .utf8)
        {
            places.append(
                git.appending(path: common.trimmingCharacters(in: .whitespacesAndNewlines)))
        }
        for place in places {
            if let commit = try? String(contentsOf: place.appending(path: name), encoding: .utf8) {
                return String(commit.prefix(12))
            }
        }
        return nil
    }
}
