// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation
import ModelFiles
import Tensors
import ZImage

/// The output of `inkstone lora inspect`.
struct LoRAInspection: Encodable {
    /// Layers of one format, rank and type.
    private struct Kind: Encodable, Hashable {
        var format: String
        var rank: Int
        var dtype: String
        /// alpha / rank.
        var factor: Float
        /// The place of alpha.
        var alphaOrigin: String?
    }

    private struct Row: Encodable {
        var kind: Kind
        var weights: Int
    }

    private let name: String
    private let bytes: Int
    private let model: String
    private let kinds: [Row]
    private let matched: Int
    private let matchedKeys: Int
    private let unmatched: [String]
    private let unused: [String]
    private let notes: [String]
    private let metadata: [String: String]

    init(_ file: LoRAFile, _ contents: LoRAFile.Contents, model: String) throws {
        name = file.url.lastPathComponent
        bytes = file.byteCount
        self.model = model
        var counts: [Kind: Int] = [:]
        for group in contents.groups {
            let kind = Kind(
                format: group.format.rawValue + (group.isDecomposed ? " with DoRA" : ""),
                rank: group.rank, dtype: group.dtype.rawValue, factor: try group.ratio(),
                alphaOrigin: group.alphaOrigin)
            counts[kind, default: 0] += group.names.count
        }
        kinds = counts.map { Row(kind: $0.key, weights: $0.value) }.sorted {
            ($0.kind.format, $0.kind.rank, $0.kind.dtype, $0.kind.factor)
                < ($1.kind.format, $1.kind.rank, $1.kind.dtype, $1.kind.factor)
        }
        matched = contents.report.matched
        matchedKeys = contents.report.matchedKeys
        unmatched = contents.report.unmatched
        unused = contents.report.unused
        notes = contents.report.notes ?? []
        // Training tools write images and whole configurations into it.
        metadata = file.metadata.mapValues { $0.count > 200 ? "\($0.prefix(200))…" : $0 }
    }

    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    /// The report as text.
    var text: String {
        var lines = ["\(name): \(bytes.byteText), changes \(matched) weights of \(model)"]
        for row in kinds {
            let rank = row.kind.rank > 0 ? " of rank \(row.kind.rank)" : ""
            let origin = row.kind.alphaOrigin.map { ", alpha by \($0)" } ?? ""
            lines.append(
                "  \(row.weights) by \(row.kind.format)\(rank) in \(row.kind.dtype), times \(row.kind.factor)\(origin)"
            )
        }
        lines += notes
        for (one, many, keys) in [
            ("belongs to no layer", "belong to no layer", unmatched),
            ("changes nothing", "change nothing", unused),
        ] where !keys.isEmpty {
            lines.append(keys.count == 1 ? "1 key \(one):" : "\(keys.count) keys \(many):")
            lines += keys.prefix(20).map { "  \($0)" }
            if keys.count > 20 { lines.append("  and \(keys.count - 20) more") }
        }
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
            lines.append("\(key): \(value.split(separator: "\n").joined(separator: " "))")
        }
        return lines.joined(separator: "\n")
    }
}
