// Part of Inkstone. Licence: see LICENSE.

import Catalog
import Foundation
import Parameters
import Testing

@Suite struct LoRAFolderTests {
    /// Makes empty files in a folder that is removed at the end, and lists it.
    private func list(_ files: [String]) throws -> LoRAFolder {
        try inFolder(files) { LoRAFolder($0) }
    }

    private func inFolder<Result>(_ files: [String], _ body: (URL) throws -> Result) throws
        -> Result
    {
        let folder = FileManager.default.temporaryDirectory
            .appending(path: "inkstone-loras-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        for file in files {
            let url = folder.appending(path: file)
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data().write(to: url)
        }
        return try body(folder)
    }

    @Test("files of subfolders, in any case of the ending, and of folders that PEFT saved")
    func names() throws {
        let folder = try list([
            "b.safetensors", "A.SAFETENSORS", "styles/ink.SafeTensors",
            "styles/deep/er/oil.safetensors",
            "portrait/adapter_model.safetensors", "portrait/adapter_config.json",
            "city/pytorch_lora_weights.safetensors", "adapter_model.safetensors", "notes.txt",
            ".hidden.safetensors", ".cache/x.safetensors",
        ])
        #expect(
            folder.files.map(\.name).sorted()
                == ["A", "adapter_model", "b", "city", "ink", "oil", "portrait"])
        #expect(folder.files.first { $0.name == "oil" }?.path == "styles/deep/er/oil")
        #expect(folder.skipped.isEmpty)
    }

    @Test("what cannot be used is listed with the reason")
    func skipped() throws {
        let long = String(repeating: "n", count: 201)
        let folder = try list([
            "ink.safetensors", "old/ink.safetensors", "style.pt", "old/style.CKPT",
            "a<b.safetensors",
            "\(long).safetensors", "\(String(repeating: "m", count: 200)).safetensors",
            "1/2/3/4/5/far.safetensors",
        ])
        #expect(folder.files.map(\.name.count).sorted() == [3, 200])
        let reasons = Dictionary(uniqueKeysWithValues: folder.skipped.map { ($0.file, $0.reason) })
        #expect(reasons.count == 5)
        #expect(reasons["old/ink.safetensors"] == "ink.safetensors has the same name")
        #expect(reasons["style.pt"] == reasons["old/style.CKPT"])
        #expect(reasons["a<b.safetensors"]?.contains("< >") == true)
    }

    @Test("a request may name the ending and the folder")
    func waysToName() throws {
        try inFolder(["ink.safetensors", "styles/oil.safetensors"]) { folder in
            let registry = LoRARegistry(folder: folder)
            for name in [
                "ink", "ink.safetensors", "oil.SAFETENSORS", "styles/oil", "styles/oil.safetensors",
            ] {
                let (entry, offer) = (try registry.find(name), try registry.offer(name))
                #expect(entry.isOwn && entry.name == offer.name)
            }
            #expect(registry.listing.name(for: "styles/oil.SafeTensors") == "oil")
            #expect(throws: RequestError.self) { _ = try registry.find("water") }
        }
    }

    @Test("no folder has no files")
    func nothing() throws {
        let folder = LoRAFolder(URL(filePath: "/nonexistent"))
        #expect(folder.files.isEmpty && folder.skipped.isEmpty)
    }
}
