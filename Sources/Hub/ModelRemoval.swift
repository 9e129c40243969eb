// Part of Inkstone. Licence: see LICENSE.

public import Foundation

/// Removes a model's folder.
public enum ModelRemoval {
    /// Removes a folder; a link is removed and what it leads to is kept.
    ///
    /// - Parameters:
    ///   - name: the folder's name.
    ///   - root: the folder of models.
    /// - Throws: `HubError` of code `usage`, `notFound` or `disk`.
    public static func remove(_ name: String, from root: URL) throws(HubError) {
        guard ModelPull.isName(name) else {
            throw HubError(.usage, "'\(name)' is not the name of a model.")
        }
        let manager = FileManager.default
        let folder = root.appending(path: name)
        guard (try? manager.attributesOfItem(atPath: folder.path)) != nil else {
            throw HubError(.notFound, "there is no model '\(name)' in '\(root.path)'.")
        }
        let aside = root.appending(path: ".\(name).removed")
        do {
            try? manager.removeItem(at: aside)
            // In one step: a partial model is never visible.
            try manager.moveItem(at: folder, to: aside)
            try manager.removeItem(at: aside)
        } catch {
            throw HubError(
                .disk, "'\(folder.path)' cannot be removed: \(error.localizedDescription)")
        }
        for rest in [".\(name).pull", ".\(name).lock"] {
            try? manager.removeItem(at: root.appending(path: rest))
        }
    }
}
