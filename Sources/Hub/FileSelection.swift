// Part of Inkstone. Licence: see LICENSE.

import ModelFiles

/// Selects the files of a repository to download.
enum FileSelection {
    private static let folders = ["scheduler", "text_encoder", "tokenizer", "transformer", "vae"]
    private static let weightFolders: Set = ["text_encoder", "transformer", "vae"]
    private static let stems = ["diffusion_pytorch_model", "model"]
    private static let tokenizerFiles: Set = [
        "vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json",
    ]
    private static let suffix = ".safetensors"
    private static let indexSuffix = ".safetensors.index.json"

    /// The files of a model in the diffusers layout, or those that `patterns` name.
    ///
    /// - Parameters:
    ///   - files: all files of the repository.
    ///   - patterns: paths with `*` as wildcard; empty selects the whole model.
    ///   - repository: its name, for messages.
    /// - Returns: the selected files, the small ones first.
    /// - Throws: `HubError` of code `notFound` for a pattern without a file, `unsupported` for a
    ///   repository without a model.
    static func choose(
        _ files: [RemoteFile], _ patterns: [String], repository: String
    ) throws(HubError) -> [RemoteFile] {
        var chosen: Set<String> = []
        for pattern in patterns {
            let found = files.map(\.path).filter { matches($0, pattern) }
            guard !found.isEmpty else {
                throw HubError(
                    .notFound,
                    "\(repository) has no file '\(pattern)'; it has \(listed(weights(files))).")
            }
            chosen.formUnion(found)
        }
        if patterns.isEmpty { chosen = try layout(files.map(\.path), repository, files) }
        return files.filter { chosen.contains($0.path) }.sorted {
            ($0.size, $0.path) < ($1.size, $1.path)
        }
    }

    private static func layout(
        _ paths: [String], _ repository: String, _ files: [RemoteFile]
    ) throws(HubError) -> Set<String> {
        guard paths.contains("model_index.json") else {
            throw HubError(
                .unsupported,
                "\(repository) has no model_index.json: choose files with --file; it has"
                    + " \(listed(weights(files))).")
        }
        var chosen: Set = ["model_index.json"]
        // Manifest and licence.
        chosen.formUnion(
            paths.filter { ["inkstone.json", "LICENSE", "LICENSE.txt", "LICENSE.md"].contains($0) })
        for folder in folders {
            let names = paths.filter { $0.hasPrefix(folder + "/") }.map {
                String($0.dropFirst(folder.count + 1))
            }.filter { !$0.contains("/") }
            var own: [String]
            if folder == "tokenizer" {
                own = names.filter(tokenizerFiles.contains)
            } else {
                own = names.filter { $0.hasSuffix(".json") && !ShardIndex.isName($0) }
            }
            if weightFolders.contains(folder) { own += weightNames(names) }
            chosen.formUnion(own.map { "\(folder)/\($0)" })
        }
        return chosen
    }

    /// The weights that the loader uses: shards or file with the usual name, else all.
    private static func weightNames(_ names: [String]) -> [String] {
        for stem in stems where names.contains(stem + indexSuffix) {
            return names.filter {
                $0 == stem + indexSuffix || $0.hasPrefix(stem + "-") && $0.hasSuffix(suffix)
            }
        }
        for stem in stems where names.contains(stem + suffix) { return [stem + suffix] }
        return names.filter { $0.hasSuffix(suffix) || ShardIndex.isName($0) }
    }

    private static func weights(_ files: [RemoteFile]) -> [String] {
        files.map(\.path).filter { $0.hasSuffix(suffix) || $0.lowercased().hasSuffix(".gguf") }
            .sorted()
    }

    private static func listed(_ names: [String]) -> String {
        guard !names.isEmpty else { return "no file of weights" }
        let shown = names.prefix(12).joined(separator: ", ")
        return names.count > 12 ? "\(shown) and \(names.count - 12) more" : shown
    }

    /// Whether a path matches a pattern, in which `*` also matches slashes.
    static func matches(_ path: String, _ pattern: String) -> Bool {
        let parts = pattern.split(separator: "*", omittingEmptySubsequences: false).map(String.init)
        guard parts.count > 1 else { return path == pattern }
        guard path.hasPrefix(parts[0]) else { return false }
        var rest = path.dropFirst(parts[0].count)
        for part in parts.dropFirst().dropLast() {
            guard let range = rest.firstRange(of: part) else { return part.isEmpty }
            rest = rest[range.upperBound...]
        }
        return rest.hasSuffix(parts[parts.count - 1])
    }
}
