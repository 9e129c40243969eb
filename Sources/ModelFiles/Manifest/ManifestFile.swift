// Part of Inkstone. Licence: see LICENSE.

import Basics
public import Foundation

/// The `inkstone.json` of a model's folder: the only place that opens it.
///
/// `ModelManifest` reads what clients see, `ModelParts` the component files, and the LoRA registry
/// the scales.
public struct ManifestFile: Sendable {
    /// Name of the file beside `model_index.json`.
    public static let name = "inkstone.json"

    /// The fields of the file.
    let reader: ConfigReader

    /// Reads a file.
    ///
    /// - Throws: `CheckpointError` of code `notFound`, `unreadable` or `badConfig`.
    public init(contentsOf url: URL) throws(CheckpointError) {
        reader = try ConfigReader(contentsOf: url)
    }

    /// Reads the file in a model's folder; `nil` if there is none.
    ///
    /// - Throws: `CheckpointError` of code `unreadable` or `badConfig`.
    public init?(in folder: URL) throws(CheckpointError) {
        let url = folder.appending(path: Self.name)
        guard FileKind(url) == .file || FileKind(url) == .hidden else { return nil }
        try self.init(contentsOf: url)
    }

    /// Scales of the model's LoRA files, by name: `"loras": [{"name": "pixel", "scale": 0.8}]`.
    ///
    /// A list with an invalid row counts as empty.
    public var loraScales: [String: Double] {
        guard case .array(let rows)? = reader["loras"] else { return [:] }
        var scales: [String: Double] = [:]
        for row in rows {
            guard case .object(let members) = row, case .string(let name)? = members["name"] else {
                return [:]
            }
            guard let value = members["scale"], value != .null else { continue }
            guard let scale = value.asNumber else { return [:] }
            scales[name] = scales[name] ?? scale
        }
        return scales
    }
}
