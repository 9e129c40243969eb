// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// The origin of a model's files, stored beside them.
struct PullRecord: Codable, Equatable {
    /// Name of the file.
    static let fileName = ".inkstone-pull.json"

    /// Address of the hub.
    var hub: String
    /// Repository.
    var repository: String
    /// The requested revision.
    var revision: String
    /// The commit of the revision at that time.
    var commit: String
    /// All files, as announced by the hub.
    var files: [RemoteFile]

    /// Reads the record of a folder; `nil` if it is missing or damaged.
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
