// Part of Inkstone. Licence: see LICENSE.

package import ModelFiles

#if canImport(FoundationEssentials)
    package import FoundationEssentials
#else
    package import Foundation
#endif

/// A LoRA file: small matrices that change a model's weights.
///
/// Reads what diffusers, PEFT, ComfyUI, kohya's scripts and LyCORIS write; see `LoRAKey` for the
/// kinds of keys and `LoRATargets` for the names of layers.
package struct LoRAFile: Sendable {
    package let url: URL
    private let file: SafetensorsFile

    /// What a file says about a model's layers.
    package struct Contents: Sendable {
        /// What changes them, in the order of their names.
        package let groups: [LoRAGroup]
        /// Which keys took part; for strength 1.
        package let report: LoRAReport
    }

    /// Opens a file.
    package init(url: URL) throws(CheckpointError) {
        self.url = url
        file = try SafetensorsFile(url: url)
    }

    /// Tells this file from others, and from what it was before it was changed.
    package var identity: String { file.identity }
    /// What the file says about itself.
    package var metadata: [String: String] { file.metadata }
    /// Bytes of all tensors.
    package var byteCount: Int { file.tensors.values.reduce(0) { $0 + $1.byteRange.count } }

    /// Finds the layers that the file's keys belong to.
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
        // Files that say a layer twice mean the same: the name of this layout counts.
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
}
