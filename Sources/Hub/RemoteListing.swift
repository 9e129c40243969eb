// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// Parses the file lists of hubs.
enum RemoteListing {
    /// An entry of Hugging Face's tree.
    private struct Entry: Decodable {
        struct Large: Decodable {
            let oid: String
            let size: Int
        }
        let type: String
        let path: String
        let size: Int?
        let oid: String?
        let lfs: Large?
    }

    /// The response of ModelScope.
    private struct Answer: Decodable {
        struct Body: Decodable {
            struct File: Decodable {
                let path: String
                let type: String
                let size: Int?
                let sha256: String?
                enum CodingKeys: String, CodingKey {
                    case path = "Path"
                    case type = "Type"
                    case size = "Size"
                    case sha256 = "Sha256"
                }
            }
            let files: [File]?
            enum CodingKeys: String, CodingKey { case files = "Files" }
        }
        let data: Body?
        enum CodingKeys: String, CodingKey { case data = "Data" }
    }

    private struct Revision: Decodable { let sha: String }

    /// The files of one page.
    static func files(_ kind: HubEndpoint.Kind, _ body: Data) throws(HubError) -> [RemoteFile] {
        var files: [RemoteFile] = []
        switch kind {
        case .huggingFace:
            for entry in try decoded([Entry].self, body)
            where entry.type == "file" && !isHidden(entry.path) {
                files.append(
                    try RemoteFile(
                        path: entry.path, size: entry.lfs?.size ?? entry.size ?? -1,
                        sha256: entry.lfs?.oid, gitBlob: entry.oid))
            }
        case .modelScope:
            for file in try decoded(Answer.self, body).data?.files ?? []
            where file.type == "blob" && !isHidden(file.path) {
                files.append(
                    try RemoteFile(
                        path: file.path, size: file.size ?? -1, sha256: file.sha256, gitBlob: nil))
            }
        }
        return files
    }

    /// Hidden files, such as those of Git, are ignored.
    private static func isHidden(_ path: String) -> Bool {
        path.split(separator: "/").contains { $0.hasPrefix(".") && !$0.allSatisfy { $0 == "." } }
    }

    /// The commit of a revision.
    static func commit(_ body: Data) throws(HubError) -> String {
        let sha = try decoded(Revision.self, body).sha
        guard (1...100).contains(sha.count),
            sha.allSatisfy({ $0.isASCII && $0.isLetter || $0.isNumber })
        else { throw HubError(.corrupt, "the hub names the commit '\(sha.prefix(100))'.") }
        return sha
    }

    /// The address of the next page, from a `Link` header.
    static func nextPage(_ links: [String]) -> String? {
        for link in links.joined(separator: ",").split(separator: ",") {
            let parts = link.split(separator: ";").map { $0.trimmingCharacters(in: .whitespaces) }
            guard let target = parts.first, target.hasPrefix("<"), target.hasSuffix(">"),
                parts.dropFirst().contains(where: { $0 == "rel=\"next\"" || $0 == "rel=next" })
            else { continue }
            return String(target.dropFirst().dropLast())
        }
        return nil
    }

    private static func decoded<T: Decodable>(
        _ type: T.Type, _ body: Data
    ) throws(HubError) -> T {
        do { return try JSONDecoder().decode(type, from: body) } catch {
            throw HubError(
                .corrupt,
                "the hub's answer is not what its interface promises (\(body.count) bytes that begin"
                    + " with \(String(decoding: body.prefix(60), as: UTF8.self).debugDescription));"
                    + " check --endpoint and --hub.")
        }
    }
}
