// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation

/// An index of tensors in several safetensors files of the same folder.
package struct ShardIndex {
    /// File name by tensor name.
    let fileNames: [String: String]

    /// Maximum number of files of one checkpoint.
    static let fileLimit = 1_000

    /// Reads an index, and rejects file names outside its folder.
    ///
    /// - Throws: `CheckpointError` of code `badConfig`, `notFound` or `unreadable`.
    init(contentsOf url: URL) throws(CheckpointError) {
        let path = url.path.quoted
        func bad(_ reason: String) -> CheckpointError {
            CheckpointError(
                code: .badConfig, message: "\(path) \(reason).",
                remedy: "Download the folder again.")
        }
        guard case .object(let members) = try JSONValue(contentsOf: url),
            case .object(let map)? = members["weight_map"]
        else { throw bad("has no weight_map, expected an object of file names by tensor name") }
        var fileNames: [String: String] = [:]
        for (tensor, value) in map {
            guard case .string(let name) = value else {
                throw bad("gives \(value.shown) for \(tensor.quoted), expected a file name")
            }
            guard Self.isPlain(name) else {
                throw bad(
                    "gives \(name.quoted) for \(tensor.quoted), expected the name of a safetensors"
                        + " file in the same folder")
            }
            fileNames[tensor] = name
        }
        guard !fileNames.isEmpty else { throw bad("has an empty weight_map") }
        let files = Set(fileNames.values).count
        guard files <= Self.fileLimit else {
            throw bad("names \(files) files, expected at most \(Self.fileLimit)")
        }
        self.fileNames = fileNames
    }

    /// Whether a file is an index of shards; diffusers writes the name of a variant before the last part.
    package static func isName(_ name: String) -> Bool {
        guard name.hasSuffix(".json") else { return false }
        let parts = name.split(separator: ".")
        guard let place = parts.lastIndex(of: "safetensors"), place > 0 else { return false }
        let rest = parts[(place + 1)...]
        return rest.first == "index" && (2...3).contains(rest.count)
    }

    private static func isPlain(_ name: String) -> Bool {
        name.hasSuffix(".safetensors") && !name.hasPrefix(".") && name.utf8.count <= 255
            && !name.unicodeScalars.contains { $0 == "/" || $0 == "\\" || $0.value < 0x20 }
    }
}
