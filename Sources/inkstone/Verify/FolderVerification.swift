// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation
import Hub
import ModelFiles
import ZImage

/// Checks what is in a model's folder, without running the model.
struct FolderVerification {
    let folder: URL
    let progress: ProgressLine

    /// The largest magnitude that a weight may have: that of 16-bit floating point.
    private static let largest: Float = 65_504

    // MARK: Files

    /// Compares the files with a published list, or hashes the files of weights.
    func checkFiles(_ published: PublishedFiles?, _ report: inout VerificationReport) {
        defer { progress.clear() }
        guard let published else {
            report.files.hashed = hashWeights()
            report.notes.append(
                "The files are not compared with published ones: the folder has no list of them. A"
                    + " model that was fetched with 'inkstone models pull' has one, and --repository"
                    + " OWNER/NAME asks the hub.")
            return
        }
        report.files.repository = published.repository
        report.files.commit = published.commit
        let total = published.byteCount
        report.files.compared = published.compare(with: folder) {
            progress.show(share: Double($0) / Double(max(1, total)), label: "Comparing files")
        }
        for file in report.files.compared where file.state != .intact {
            report.add(.files, file.path, Self.text(file))
        }
    }

    private static func text(_ file: PublishedFiles.Comparison) -> String {
        let remedy = "fetch the model again"
        return switch file.state {
        case .intact: "it is as published"
        case .missing: "it is missing; \(remedy)"
        case .unreadable: "it cannot be read; check its permissions and the disk"
        case .wrongSize: "expected \(file.bytes) bytes, found another number; \(remedy)"
        case .wrongBytes: "its bytes are not the published ones; \(remedy)"
        }
    }

    private func hashWeights() -> [VerificationReport.HashedFile] {
        var isFolder = ObjCBool(false)
        let exists = FileManager.default.fileExists(atPath: folder.path, isDirectory: &isFolder)
        let isFile = exists && !isFolder.boolValue
        let base = isFile ? folder.deletingLastPathComponent() : folder
        let paths =
            isFile
            ? [folder.lastPathComponent]
            : (FileManager.default.subpaths(atPath: folder.path) ?? []).sorted()
        // Other file names could identify the user, so only files of weights are listed.
        let weights = paths.filter { $0.hasSuffix(".safetensors") || $0.hasSuffix(".gguf") }
        let known = weights.filter { path in
            isFile || !path.contains("/")
                || ["transformer/", "text_encoder/", "vae/"].contains { path.hasPrefix($0) }
        }
        return known.compactMap { path in
            let url = base.appending(path: path)
            progress.show("Hashing \(url.lastPathComponent)")
            let attributes = try? FileManager.default.attributesOfItem(
                atPath: url.resolvingSymlinksInPath().path)
            guard let size = attributes?[.size] as? NSNumber,
                let digest = PublishedFiles.sha256(of: url)
            else { return nil }
            return .init(path: path, bytes: size.intValue, sha256: digest)
        }
    }

    // MARK: Tensors

    /// Checks names, shapes and every number.
    ///
    /// - Returns: Whether the weights can be loaded.
    func checkTensors(_ model: ModelDirectory, _ report: inout VerificationReport) -> Bool {
        defer { progress.clear() }
        var isLoadable = true
        do { try model.checkTensors() } catch {
            report.add(.tensors, "names and shapes", redacted(error))
            isLoadable = false
        }
        let stores: [(String, () throws -> TensorStore?)] = [
            ("text encoder", model.textEncoderStore), ("transformer", model.transformerStore),
            ("autoencoder", model.autoencoderStore), ("preview decoder", model.previewStore),
        ]
        for (name, store) in stores {
            do {
                guard let store = try store() else { continue }
                report.tensors.append(
                    try check(store, of: name, &report) {
                        // Layers that are not run may be empty: training does not reach them.
                        name != "text encoder" || !model.textEncoderConfig.skips($0)
                    })
            } catch {
                // Reported by the check of names and shapes, if it opened the store as well.
                if isLoadable { report.add(.tensors, name, redacted(error)) }
                isLoadable = false
            }
        }
        return isLoadable
    }

    private func check(
        _ store: TensorStore, of name: String, _ report: inout VerificationReport,
        isUsed: (String) -> Bool
    ) throws -> VerificationReport.Component {
        var (storage, numbers, largest) = ([String: Int](), 0, Float(0))
        for (index, tensorName) in store.names.enumerated() {
            guard let tensor = store[tensorName] else { continue }
            progress.show(
                share: Double(index) / Double(store.count), label: "Reading the \(name)")
            // Some files hold integers that are not weights.
            guard TensorStore.weightTypes.contains(tensor.dtype) else { continue }
            let values = try TensorValues(of: tensor)
            store.releasePages(of: tensorName)
            storage[tensor.storage, default: 0] += 1
            numbers += values.count
            largest = max(largest, values.largest)
            if isUsed(tensorName), let fault = Self.fault(of: values, shape: tensor.shape) {
                report.add(.tensors, "\(name): \(tensorName)", fault)
            }
        }
        return .init(
            name: name, tensors: store.count, numbers: numbers, bytes: store.byteCount,
            storage: storage, largest: Double(largest))
    }

    private static func fault(of values: TensorValues, shape: [Int]) -> String? {
        if values.nonFinite > 0 {
            return "\(values.nonFinite) of \(values.count) numbers are NaN or infinite;"
                + " fetch the file again"
        }
        if values.largest > largest {
            return "a number has the magnitude \(values.largest), expected at most \(largest);"
                + " fetch the file again"
        }
        // Biases and the like may be zero.
        let isMatrix = shape.count { $0 > 1 } > 1
        if isMatrix, values.nonZero == 0 {
            return "all \(values.count) numbers are zero; fetch the file again"
        }
        return nil
    }

    // MARK: Tokenizer and configuration

    /// Compares the ids of known texts, and the configuration with the published ones.
    func checkTokenizer(_ model: ModelDirectory, _ report: inout VerificationReport) {
        let tokenizer: QwenTokenizer
        do { tokenizer = try QwenTokenizer(directory: model.tokenizerURL) } catch {
            report.add(.tokenizer, "tokenizer", redacted(error))
            return
        }
        let isPublished = tokenizer.idBound == PublishedVocabulary.size
        let mismatches = isPublished ? PublishedVocabulary.mismatches(of: tokenizer) : []
        for mismatch in mismatches {
            report.add(
                .tokenizer, mismatch.text.debugDescription,
                "expected the ids \(mismatch.expected), found \(mismatch.found); fetch the"
                    + " tokenizer's files again")
        }
        let count = PublishedVocabulary.prompts.count + PublishedVocabulary.texts.count
        report.tokenizer = .init(
            vocabulary: tokenizer.idBound, isPublished: isPublished,
            examples: isPublished ? count : 0, mismatches: mismatches.count)
        if model.hasPublishedSizes, !isPublished {
            report.add(
                .tokenizer, "vocabulary",
                "expected \(PublishedVocabulary.size) ids, found \(tokenizer.idBound); fetch the"
                    + " tokenizer's files again")
        } else if !isPublished {
            report.notes.append(
                "The tokenizer's ids are not compared with known ones: it has"
                    + " \(tokenizer.idBound) ids, and the published vocabulary"
                    + " \(PublishedVocabulary.size).")
        }
        let shift = model.schedulerConfig.shift
        if model.hasPublishedSizes, shift != 3, shift != 6 {
            report.add(
                .configuration, "scheduler/scheduler_config.json",
                "expected a shift of 3 (Z-Image-Turbo) or 6 (Z-Image), found \(shift)")
        }
    }

    /// The text of an error without paths: of each, the last component is left.
    func redacted(_ error: any Error) -> String {
        var text = "\(error)"
        for path in [folder.path, folder.resolvingSymlinksInPath().path] {
            text = text.replacing(path + "/", with: "").replacing(path, with: "the folder")
        }
        return text.replacing(#/'/(?:[^'\n]*/)?([^'/\n]+)'/#) { "'\($0.output.1)'" }
    }
}

extension ModelDirectory {
    /// Whether transformer and text encoder have the sizes of Z-Image.
    fileprivate var hasPublishedSizes: Bool {
        transformerConfig.dim == 3840 && textEncoderConfig.hiddenSize == 2560
    }
}

extension TextEncoderConfig {
    /// Whether a tensor belongs to a layer that the pipeline does not run.
    fileprivate func skips(_ name: String) -> Bool {
        let parts = name.split(separator: ".")
        guard parts.count > 1, parts[0] == "layers", let layer = Int(parts[1]) else { return false }
        return layer >= usedLayers
    }
}
