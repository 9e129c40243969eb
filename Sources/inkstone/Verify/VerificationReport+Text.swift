// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation
import Hub

extension VerificationReport {
    /// The report as Markdown for people.
    var text: String {
        let lines =
            ["# Verification by inkstone \(version)", ""] + summary + ["", "## Result", ""]
            + faultLines + imageLines + referenceLines + noteLines
        return lines.joined(separator: "\n")
    }

    /// The text, and the same as JSON.
    func document() throws -> String {
        "\(text)\n\n## As JSON\n\n```json\n\(try json())\n```\n"
    }

    private var summary: [String] {
        var lines: [String] = []
        if let model {
            lines.append(
                "* model: \(model.id), \(model.kind), \(model.parameters.grouped) parameters")
        }
        lines.append(
            "* machine: \(machine.processor), \(machine.threads)"
                + " \(machine.threads == 1 ? "thread" : "threads"), \(machine.memory.byteText),"
                + " \(machine.system)")
        if let repository = files.repository {
            let intact = files.compared.count { $0.state == .intact }
            lines.append(
                "* files: \(intact) of \(files.compared.count) as published in \(repository) at"
                    + " \(files.commit ?? "")")
        } else {
            lines.append("* files: not compared")
            lines += files.hashed.map { "  * \($0.path): SHA-256 \($0.sha256)" }
        }
        lines += tensors.map { part in
            let storage = part.storage.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
            return "* \(part.name): \(part.tensors.grouped) tensors"
                + " (\(storage.joined(separator: ", "))), \(part.numbers.grouped) numbers, the largest"
                + " \(Self.text(part.largest))"
        }
        if let tokenizer {
            let known =
                tokenizer.isPublished
                ? "\(tokenizer.examples - tokenizer.mismatches) of \(tokenizer.examples) known texts"
                    + " have the published ids" : "not the published vocabulary"
            lines.append("* tokenizer: \(tokenizer.vocabulary.grouped) ids, \(known)")
        }
        return lines
    }

    private var faultLines: [String] {
        guard !faults.isEmpty else { return ["No fault was found."] }
        return faults.map { "* **\($0.area.rawValue)**: `\($0.subject)`: \($0.text)" }
    }

    private var imageLines: [String] {
        guard runs.contains(where: { !$0.images.isEmpty }) else { return [] }
        let header = [
            "", "## Images", "",
            "| Device | Image | Steps | Text | A step | Decoding | All | Peak memory | SHA-256 |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        let rows = runs.flatMap { run in
            run.images.map { image in
                let cells = [
                    "\(run.device) \(run.precision)", "\(image.prompt) \(image.size)",
                    "\(image.steps)", Self.time(image.textSeconds),
                    Self.time(image.stepSeconds), Self.time(image.decodeSeconds),
                    Self.time(image.totalSeconds), Self.memory(image),
                    "\(image.sha256.prefix(12))",
                ]
                return "| \(cells.joined(separator: " | ")) |"
            }
        }
        let loads = runs.map { run in
            let batch =
                run.isBatchInvariant.map {
                    $0 ? ", same bytes in a batch" : ", OTHER BYTES in a batch"
                }
                ?? ""
            return "\(run.device) \(run.precision): kernels \(run.kernels), \(run.threads)"
                + " \(run.threads == 1 ? "thread" : "threads"), loaded in"
                + " \(Self.time(run.loadSeconds))\(batch)."
        }
        return header + rows + [""] + loads
    }

    private var referenceLines: [String] {
        guard let reference else { return [] }
        let versions = reference.versions.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
        let header = [
            "", "## Reference", "",
            "\(versions.joined(separator: ", ")), in \(reference.precision). Errors are the largest"
                + " differences relative to the largest value.", "",
            "| Device | Image | Ids | Text | First output | Latents | PSNR |",
            "|---|---|---|---|---|---|---|",
        ]
        let rows = runs.flatMap { run in
            run.images.compactMap { image -> String? in
                guard let found = image.reference else { return nil }
                let cells = [
                    "\(run.device) \(run.precision)", "\(image.prompt) \(image.size)",
                    found.largest { $0.hasSuffix("input_ids") }.map {
                        $0 == 0 ? "equal" : "DIFFERENT"
                    },
                    found.largest { $0.hasSuffix("text_features") }.map(Self.text),
                    found.largest { $0 == "transformer_out.0" }.map(Self.text),
                    found.largest { $0 == "latents" }.map(Self.text),
                    found.psnr.map { "\(($0 * 10).rounded() / 10) dB" } ?? "equal",
                ]
                return "| \(cells.map { $0 ?? "" }.joined(separator: " | ")) |"
            }
        }
        return header + rows
    }

    private var noteLines: [String] {
        notes.isEmpty ? [] : ["", "## Not checked", ""] + notes.map { "* \($0)" }
    }

    /// `9 ms`, `4.5 s` or `3:05 min`.
    private static func time(_ seconds: Double) -> String {
        seconds < 1 ? "\(Int((seconds * 1000).rounded())) ms" : ProgressLine.text(seconds)
    }

    /// Memory of the process, and of the GPU if there is one.
    private static func memory(_ image: Image) -> String {
        image.peakBytes.byteText + (image.deviceBytes.map { ", GPU \($0.byteText)" } ?? "")
    }

    private static func text(_ number: Double) -> String { ReferenceComparison.text(number) }
}

extension ReferenceComparison {
    /// The largest error of the tensors whose name matches; `nil` without one.
    fileprivate func largest(_ matches: (String) -> Bool) -> Double? {
        tensors.filter { matches($0.name) }.compactMap(\.error).max()
    }
}
