// Part of Inkstone. Licence: see LICENSE.

import Basics
package import Foundation
package import ModelFiles

/// A LoRA file: low-rank changes of a model's weights.
///
/// Reads the files of diffusers, PEFT, ComfyUI, kohya's scripts and LyCORIS; see `LoRAKey` for the
/// kinds of keys and `LoRATargets` for the names of layers.
package struct LoRAFile: Sendable {
    package let url: URL
    private let file: SafetensorsFile
    private let adapter: AdapterMetadata
    private let configuration: LoRAConfiguration?

    /// The parts of a file that change a model's layers.
    package struct Contents: Sendable {
        /// The tensors by layer, in the order of the layers' names.
        package let groups: [LoRAGroup]
        /// Which keys matched a layer; for scale 1.
        package let report: LoRAReport
    }

    /// Opens a file, or the LoRA file of a folder, with PEFT's configuration beside it.
    ///
    /// - Throws: `CheckpointError` for a file or a configuration that cannot be read, and for a folder that has
    ///   not exactly one LoRA file.
    package init(url: URL) throws(CheckpointError) {
        let url = try LoRAConfiguration.file(at: url)
        self.url = url
        file = try SafetensorsFile(url: url)
        configuration = try LoRAConfiguration(of: url)
        adapter = try AdapterMetadata(file.metadata, configuration: configuration?.bytes)
    }

    /// Identifies the content of the file: it differs from that of other files and earlier versions.
    package var identity: String { file.identity + (configuration.map { " \($0.identity)" } ?? "") }
    /// The file's metadata.
    package var metadata: [String: String] { file.metadata }
    /// The first 12 hexadecimal digits of the SHA-256 of all tensors; trainers write it into the metadata.
    ///
    /// - Source: kohya's scripts, `sshs_model_hash`; A1111, `addnet_hash_safetensors`.
    /// - Complexity: reads the whole file, unless the metadata has it.
    var shortHash: String {
        let stated = metadata["sshs_model_hash"]?.lowercased() ?? ""
        if stated.utf8.count == 64, stated.allSatisfy(\.isHexDigit) {
            return String(stated.prefix(12))
        }
        return String(SHA256.digest(file.data).hexadecimal.prefix(12))
    }
    /// Bytes of all tensors.
    package var byteCount: Int { file.tensors.values.reduce(0) { $0 + $1.byteRange.count } }

    /// Matches the file's keys with the layers of a model.
    ///
    /// - Throws: `CheckpointError` when no key changes a layer, or a shape is wrong.
    package func contents(for targets: LoRATargets) throws(CheckpointError) -> Contents {
        var bases: [String: [LoRAKey.Role: String]] = [:]
        var unmatched: [String] = []
        var unused: [String] = []
        for key in file.tensors.keys.sorted() {
            guard let parts = LoRAKey(key), let target = targets.resolve(parts.base) else {
                unmatched.append(key)
                continue
            }
            if !target.isUsed || parts.role == .other || bases[parts.base]?[parts.role] != nil {
                unused.append(key)
            } else {
                bases[parts.base, default: [:]][parts.role] = key
            }
        }
        let candidates = try candidates(bases, targets, unmatched: &unmatched)
        // A layer that is stored under two names has the same change twice: the name of the
        // diffusers layout is used.
        var covered: Set<String> = []
        var groups: [LoRAGroup] = []
        var matchedKeys = 0
        for isCanonical in [true, false] {
            for (base, group) in candidates where group.target.isCanonical == isCanonical {
                let keys = bases[base] ?? [:]
                guard covered.isDisjoint(with: group.target.tensors) else {
                    unused += keys.values
                    continue
                }
                covered.formUnion(group.target.tensors)
                groups.append(group)
                let used = keys.filter { group.usedRoles.contains($0.key) }
                matchedKeys += used.count
                unused += keys.values.filter { !used.values.contains($0) }
            }
        }
        guard !groups.isEmpty else {
            let keys = (unmatched + unused).sorted()
            let example = keys.first.map { ", such as '\($0)'" } ?? ""
            let reason = ForeignLoRA(keys, targets: targets).reason.map { ": \($0)" } ?? ""
            throw CheckpointError(
                code: .badTensor,
                message:
                    "LoRA file \(url.lastPathComponent) changes no layer of this model: none of"
                    + " its \(file.tensors.count) keys belongs to one\(example)\(reason).",
                remedy: "Use a LoRA that was trained for Z-Image.")
        }
        var report = LoRAReport(
            name: url.lastPathComponent, scale: 1, matched: covered.count,
            matchedKeys: matchedKeys, unmatched: unmatched.sorted(), unused: unused.sorted())
        try describeScaling(of: groups, in: &report)
        return Contents(
            groups: groups.sorted { ($0.names.first ?? "") < ($1.names.first ?? "") },
            report: report)
    }

    /// Adds the factors of the layers to a report, where they are from, and what contradicts them.
    private func describeScaling(
        of groups: [LoRAGroup], in report: inout LoRAReport
    ) throws(CheckpointError) {
        var factors: Set<Double> = []
        var origins: Set<String> = []
        var disagreements: [String: (count: Int, example: String)] = [:]
        for group in groups {
            let ratio = Double(try group.ratio())
            factors.insert(ratio)
            guard let origin = group.alphaOrigin else { continue }
            origins.insert(origin)
            for (other, found) in try group.otherRatios() {
                let example =
                    "\(ratio) by \(origin), which was used, and \(found) by \(other)"
                disagreements[origin + other, default: (0, example)].count += 1
            }
        }
        report.factors = Array(factors.sorted().prefix(16))
        report.alphaOrigins = origins.sorted()
        var notes = adapter.warnings
        notes += disagreements.sorted { $0.key < $1.key }.map { _, found in
            "alpha / rank of \(found.count == 1 ? "one layer" : "\(found.count) layers") is \(found.example)."
        }
        if origins.isEmpty, configuration == nil,
            file.tensors.keys.contains(where: { $0.hasPrefix("base_model.model.") })
        {
            notes.append(
                "PEFT keeps alpha in adapter_config.json, which is not beside the file: alpha was taken to be the rank."
            )
        }
        report.notes = notes
    }

    /// Returns the groups of tensors that make a change, with the names that the file gives their
    /// layers; keys of other groups are added to `unmatched`.
    private func candidates(
        _ bases: [String: [LoRAKey.Role: String]], _ targets: LoRATargets,
        unmatched: inout [String]
    ) throws(CheckpointError) -> [(base: String, group: LoRAGroup)] {
        var candidates: [(base: String, group: LoRAGroup)] = []
        for base in bases.keys.sorted() {
            guard let keys = bases[base], let target = targets.resolve(base) else { continue }
            let tensors = keys.compactMapValues { file.tensor(named: $0) }
            guard keys[.middle] == nil, keys[.kronCore] == nil, keys[.hadamardCore] == nil,
                let group = try LoRAGroup(
                    target, tensors, metadata: adapter, file: url.lastPathComponent)
            else {
                unmatched += keys.values
                continue
            }
            candidates.append((base, group))
        }
        return candidates
    }
}
