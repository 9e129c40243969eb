// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import ModelFiles
import Parameters
import Tensors
import ZImage

/// A model in the answer of `/api/catalog`.
struct CatalogModel: Encodable {
    /// Name of its folder.
    var name: String
    /// Whether it can be launched.
    var usable: Bool
    /// The reason if it cannot.
    var error: String?
    /// Whether it is launched.
    var launched: Bool
    /// Whether it is stored in the folder where models are added and removed.
    var removable: Bool
    /// Size of its files.
    var bytes: Int
    var id: String?
    var title: String?
    var license: String?
    var width: Int?
    var height: Int?
    var steps: Int?
    var guidanceScale: Double?
    // Only for a single model, since the headers of all files are read.
    var parameters: Int?
    /// The precision that `auto` stands for.
    var precision: String?
    /// Bytes of its weights in that precision, and of activations.
    var residentBytes: Int?
    var activationBytes: Int?

    private enum CodingKeys: String, CodingKey {
        case name, usable, error, launched, removable, bytes, id, title, license, width, height,
            steps
        case parameters, precision
        case guidanceScale = "guidance_scale"
        case residentBytes = "resident_bytes"
        case activationBytes = "activation_bytes"
    }

    init(_ folder: URL, isLaunched: Bool, own: URL?, inFull: Bool = false) {
        name = folder.lastPathComponent
        launched = isLaunched
        removable = Self.isRemovable(folder, own: own)
        bytes = Self.size(of: folder)
        do {
            let model = try ModelDirectory(url: folder)
            let manifest = model.manifest
            (id, title, license) = (manifest.id, manifest.name, manifest.license)
            let defaults = manifest.defaults
            (width, height, steps) = (
                defaults.size.width, defaults.size.height, defaults.steps
            )
            guidanceScale = defaults.guidanceScale
            if inFull {
                let best = try PrecisionChoice.auto.resolved(for: model)
                let plan = try MemoryPlan(model: model, precision: best)
                parameters = plan.parameterCount
                precision = best.rawValue
                (residentBytes, activationBytes) = (plan.residentBytes, plan.activationBytes)
            }
            usable = true
        } catch {
            usable = false
            self.error = "\(error)"
        }
    }

    /// Whether a model is stored in the folder of added models, and is not the embedded one.
    static func isRemovable(_ folder: URL, own: URL?) -> Bool {
        folder.lastPathComponent != ModelLocator.embeddedModel
            && folder.deletingLastPathComponent().standardizedPath == own?.standardizedPath
    }

    private static func size(of folder: URL) -> Int {
        let keys: Set<URLResourceKey> = [.fileSizeKey, .isRegularFileKey]
        let files = FileManager.default.enumerator(
            at: folder, includingPropertiesForKeys: Array(keys))
        var total = 0
        for case let file as URL in files ?? .init() {
            let values = try? file.resourceValues(forKeys: keys)
            if values?.isRegularFile == true { total += values?.fileSize ?? 0 }
        }
        return total
    }
}
