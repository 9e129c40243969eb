// Part of Inkstone. Licence: see LICENSE.

import Basics
package import Foundation
package import ModelFiles

/// PEFT's configuration of a LoRA file, which it saves beside the file.
package struct LoRAConfiguration: Sendable {
    /// The configuration's JSON text.
    let bytes: [UInt8]
    /// Differs from that of other configurations.
    let identity: String

    /// Name that PEFT gives the file of an adapter.
    private static let adapterName = "adapter_model.safetensors"
    /// Names of the file in a folder that holds several, in the order in which they are taken.
    private static let usualNames = [adapterName, "pytorch_lora_weights.safetensors"]
    private static let ending = ".safetensors"
    private static let sizeLimit = 4 << 20

    /// Returns the location of the configuration that belongs to a file: in its folder, if the file has the name that PEFT
    /// gives it, or is the only one there.
    package static func location(for file: URL) -> URL? {
        // A link, such as those of the hub's cache, counts before the file that it leads to.
        besides(file) ?? besides(file.resolvingSymlinksInPath())
    }

    private static func besides(_ file: URL) -> URL? {
        let folder = file.deletingLastPathComponent()
        let location = folder.appending(path: AdapterMetadata.configurationName)
        guard FileManager.default.fileExists(atPath: location.path),
            file.lastPathComponent == adapterName || files(in: folder) == [file.lastPathComponent]
        else { return nil }
        return location
    }

    /// Reads the configuration that belongs to a file; `nil` if there is none.
    ///
    /// - Throws: `CheckpointError` if it cannot be read or is larger than 4 MB.
    init?(of file: URL) throws(CheckpointError) {
        guard let location = Self.location(for: file) else { return nil }
        let name = AdapterMetadata.configurationName
        guard let size = FileStamp(path: location.path)?.size,
            let data = size <= Self.sizeLimit ? try? Data(contentsOf: location) : nil
        else {
            throw CheckpointError(
                code: .unreadable,
                message:
                    "\(name) beside \(file.lastPathComponent) cannot be read, or is larger than 4 MB.",
                remedy: "Get it again, or remove it: it has alpha, which scales the LoRA.")
        }
        bytes = Array(data)
        identity = String(data.withUnsafeBytes { hash($0) }, radix: 16)
    }

    /// Whether PEFT and diffusers give every LoRA file this name, so that only the name of its folder identifies it.
    package static func isUsualName(_ name: String) -> Bool { usualNames.contains(name) }

    private static func files(in folder: URL) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.filter { $0.withoutEnding(ending) != nil }
    }

    /// Returns the LoRA file of a folder, and anything else as it is.
    ///
    /// - Throws: `CheckpointError` for a folder without a LoRA file, or with several of which none has a usual name.
    package static func file(at url: URL) throws(CheckpointError) -> URL {
        guard FileKind(url) == .folder else { return url }
        let names = try folderContents(url).filter { $0.withoutEnding(ending) != nil }
        if let name = usualNames.first(where: names.contains) ?? (names.count == 1 ? names[0] : nil)
        {
            return url.appending(path: name)
        }
        let found = names.isEmpty ? "no file" : "\(names.count) files"
        throw CheckpointError(
            code: .notFound,
            message:
                "The folder \(url.path.quoted) has \(found) that end with \(ending), expected one,"
                + " or \(usualNames.joined(separator: " or ")).",
            remedy: names.isEmpty ? "Use the folder of a LoRA." : "Use the path of one of them.")
    }
}
