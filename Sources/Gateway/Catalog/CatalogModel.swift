// Part of Inkstone. Licence: see LICENSE.

import Catalog
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

    init(_ entry: CatalogEntry, isLaunched: Bool, inFull: Bool = false) {
        name = entry.name
        launched = isLaunched
        removable = entry.isRemovable
        bytes = entry.byteCount
        do {
            let model = try entry.open()
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
            // The folder's name is enough: where it is on the machine is not for clients.
            self.error = "\(error)".replacing(entry.folder.path, with: entry.name)
        }
    }
}
