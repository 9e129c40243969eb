// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// Where a model's files came from; kept beside them.
struct PullRecord: Codable, Equatable {
    /// Name of the file.
    static let fileName = ".inkstone-pull.json"

    /// Address of the hub.
    var hub: String
    /// Repository.
    var repository: String
    /// The revision that was asked for.
    var revision: String
    /// What the revision was then.
    var commit: String
    /// Every file, as the hub announced it.
    var files: [RemoteFile]

    /// The record in a folder, or `nil` where there is none that can be read.
    init?(in folder: URL) {
        guard let data = try? Data(contentsOf: folder.appending(path: Self.fileName)),
            let record = try? JSONDecoder().decode(PullRecord.self, from: data)
        else { return nil }
        self = record
    }

    init(hub: String, repository: String, revision: String, commit: String, files: [RemoteFile]) {
        self.hub = hub
        self.repository = repository
        self.revision = revision
        self.commit = commit
        self.files = files
    }

    /// Writes the record into a folder.
    func write(to folder: URL) throws(HubError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let url = folder.appending(path: Self.fileName)
        do { try encoder.encode(self).write(to: url, options: .atomic) } catch {
            throw HubError(
                .disk, "'\(url.path)' cannot be written: \(error.localizedDescription).")
        }
    }
}
