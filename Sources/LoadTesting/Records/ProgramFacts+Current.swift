// Part of Inkstone. Licence: see LICENSE.

import Foundation

extension ProgramFacts {
    /// The running load tester.
    static var current: ProgramFacts { ProgramFacts(version: "0.1.0", commit: commit) }

    /// The commit of the working copy that contains the program; `nil` outside of one.
    private static var commit: String? {
        // Independent of the working directory.
        var folder = URL(filePath: CommandLine.arguments.first ?? "").resolvingSymlinksInPath()
        while folder.path.count > 1 {
            folder.deleteLastPathComponent()
            if let commit = head(of: folder) { return commit }
        }
        return nil
    }

    /// The commit that is checked out in a folder; `nil` when it is not the root of a working copy.
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
