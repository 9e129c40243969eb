// Part of Inkstone. Licence: see LICENSE.

package import Foundation
package import ModelFiles

/// A LoRA file: low-rank changes of a model's weights.
///
/// Reads the files of diffusers, PEFT, ComfyUI, kohya's scripts and LyCORIS; see `LoRAKey` for the
/// kinds of keys and `LoRATargets` for the names of layers.
package struct LoRAFile: Sendable {
    package let url: URL
    private let file: SafetensorsFile

    /// The parts of a file that change a model's layers.
    package struct Contents: Sendable {
        /// The tensors by layer, in the order of the layers' names.
        package let groups: [LoRAGroup]
        /// Which keys matched a layer; for scale 1.
        package let report: LoRAReport
    }

    /// Opens a file.
    package init(url: URL) throws(CheckpointError) {
        self.url = url
        file = try SafetensorsFile(url: url)
    }

    /// Identifies the content of the file: it differs from that of other files and earlier versions.
    package var identity: String { file.identity }
    /// The file's metadata.
    package var metadata: [String: String] { file.metadata }
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
            let example = (unmatched + unused).sorted().first.map { ", such as '\($0)'" } ?? ""
            throw CheckpointError(
                code: .badTensor,
                message:
                    "LoRA file \(url.lastPathComponent) changes no layer of this model: none of"
                    + " its \(file.tensors.count) keys belongs to one\(example).",
                remedy: "Use a LoRA that was trained for Z-Image.")
        }
        return Contents(
            groups: groups.sorted { ($0.names.first ?? "") < ($1.names.first ?? "") },
            report: LoRAReport(
                name: url.lastPathComponent, scale: 1, matched: covered.count,
                matchedKeys: matchedKeys, unmatched: unmatched.sorted(), unused: unused.sorted()))
    }

    /// Returns the groups of tensors that make a change, with the names that the file gives their
    /// layers; keys of other groups are added to `unmatched`.
    private func candidates(
        _ bases: [String: [LoRAKey.Role: String]], _ targets: LoRATargets,
        unmatched: inout [String]
    ) throws(CheckpointError) -> [(base: String, group: LoRAGroup)] {
        let metadata = AdapterMetadata(file.metadata)
        var candidates: [(base: String, group: LoRAGroup)] = []
        for base in bases.keys.sorted() {
            guard let keys = bases[base], let target = targets.resolve(base) else { continue }
            let tensors = keys.compactMapValues { file.tensor(named: $0) }
            guard keys[.middle] == nil, keys[.kronCore] == nil, keys[.hadamardCore] == nil,
                let group = try LoRAGroup(
                    target, tensors, metadata: metadata, file: url.lastPathComponent)
            else {
                unmatched += keys.values
                continue
            }
            candidates.append((base, group))
        }
        return candidates
    }
}
