// Part of Inkstone. Licence: see LICENSE.

import Basics
public import Foundation
import Synchronization

/// A model: its validated configuration and access to its tensors.
///
/// It is a folder in the diffusers layout, or files of weights as used by ComfyUI and GGUF. Opening
/// reads only the small JSON files; weights are mapped on first use.
public final class ModelDirectory: Sendable {
    /// The folder, or the file of weights given instead.
    public let url: URL
    /// Pipeline and components of the folder.
    public let index: ModelIndex
    /// Hyperparameters of the transformer.
    public let transformerConfig: TransformerConfig
    /// Hyperparameters of the text encoder.
    public let textEncoderConfig: TextEncoderConfig
    /// Hyperparameters of the autoencoder.
    public let autoencoderConfig: AutoencoderConfig
    /// Parameters of the noise schedule.
    public let schedulerConfig: SchedulerConfig
    /// Name, defaults and examples.
    public let manifest: ModelManifest

    /// The tokenizer's folder, or a GGUF file that contains it.
    public var tokenizerURL: URL { parts.tokenizer }
    /// Which member of the family this is.
    public var kind: ModelKind { ModelKind(scheduler: schedulerConfig) }

    private let parts: ModelParts
    private let stores: Mutex<[ModelComponent: TensorStore]>

    /// Opens a model and checks its layout and configuration.
    ///
    /// - Parameter url: a folder in the diffusers layout, a folder of files of weights, or one such
    ///   file, beside which the others are looked for.
    /// - Throws: `CheckpointError` of code `notFound` or `unreadable` for the folder itself,
    ///   `incomplete` for missing parts, `unsupported` for other layouts and models, `badConfig`
    ///   for invalid values.
    public convenience init(url: URL) throws(CheckpointError) {
        if try ModelLayout.isFolder(url) {
            try self.init(folder: url)
        } else {
            try self.init(files: url)
        }
    }

    /// Opens a folder in the diffusers layout.
    private init(folder url: URL) throws(CheckpointError) {
        self.url = url
        parts = try ModelParts(layoutOf: url)
        stores = Mutex([:])
        index = try ModelIndex(contentsOf: url.appending(path: ModelLayout.indexName))
        transformerConfig = try TransformerConfig(
            contentsOf: url.appending(path: "transformer/config.json"))
        textEncoderConfig = try TextEncoderConfig(
            contentsOf: url.appending(path: "text_encoder/config.json"))
        autoencoderConfig = try AutoencoderConfig(
            contentsOf: url.appending(path: "vae/config.json"))
        let scheduler = url.appending(path: "scheduler")
        schedulerConfig =
            FileKind(scheduler) == .folder
            ? try SchedulerConfig(contentsOf: scheduler.appending(path: "scheduler_config.json"))
            : (parts.kind ?? .turbo).scheduler
        manifest = try ModelManifest(
            of: url, kind: ModelKind(scheduler: schedulerConfig),
            latentChannels: autoencoderConfig.latentChannels)
        try checkAgreement()
    }

    /// Opens files of weights; their shapes replace the configuration files of a folder.
    private init(files url: URL) throws(CheckpointError) {
        self.url = url
        parts = try ModelParts(filesAt: url)
        index = ModelIndex()
        var stores: [ModelComponent: TensorStore] = [:]
        var opened: [URL: WeightFile] = [:]
        for (component, file) in parts.files {
            let weights: WeightFile
            if let known = opened[file] { weights = known } else { weights = try WeightFile(file) }
            opened[file] = weights
            stores[component] = try TensorStore(weights).named(as: component)
        }
        func part(_ component: ModelComponent) throws(CheckpointError) -> TensorStore {
            guard let store = stores[component] else { throw ModelLayout.lacks(component, url) }
            return store
        }
        transformerConfig = try TransformerConfig(shapesOf: part(.transformer))
        textEncoderConfig = try TextEncoderConfig(
            shapesOf: part(.textEncoder),
            description: parts.files[.textEncoder].flatMap { opened[$0]?.gguf })
        autoencoderConfig = try AutoencoderConfig(shapesOf: part(.autoencoder))
        schedulerConfig = (parts.kind ?? .turbo).scheduler
        manifest = try ModelManifest(
            of: url, kind: parts.kind ?? .turbo,
            latentChannels: autoencoderConfig.latentChannels)
        self.stores = Mutex(stores)
        try checkAgreement()
    }

    /// Creates a model of given tensors; only the tokenizer is read from `url`.
    package init(
        url: URL, manifest: ModelManifest, transformer: (TransformerConfig, TensorStore),
        textEncoder: (TextEncoderConfig, TensorStore),
        autoencoder: (AutoencoderConfig, TensorStore), scheduler: SchedulerConfig
    ) throws(CheckpointError) {
        self.url = url
        self.manifest = manifest
        index = ModelIndex()
        transformerConfig = transformer.0
        textEncoderConfig = textEncoder.0
        autoencoderConfig = autoencoder.0
        schedulerConfig = scheduler
        parts = try ModelParts(layoutOf: url)
        stores = Mutex([
            .transformer: transformer.1, .textEncoder: textEncoder.1, .autoencoder: autoencoder.1,
        ])
        try checkAgreement()
    }

    /// Checks that the components are compatible.
    private func checkAgreement() throws(CheckpointError) {
        let remedy = "Use components of one model."
        guard transformerConfig.captionWidth == textEncoderConfig.hiddenSize else {
            throw CheckpointError(
                code: .badConfig,
                message: "\(url.path.quoted) does not fit together: the transformer takes text"
                    + " features of width \(transformerConfig.captionWidth) (cap_feat_dim), but the"
                    + " text encoder makes \(textEncoderConfig.hiddenSize) (hidden_size).",
                remedy: remedy)
        }
        guard transformerConfig.inChannels == autoencoderConfig.latentChannels else {
            throw CheckpointError(
                code: .badConfig,
                message: "\(url.path.quoted) does not fit together: the transformer takes"
                    + " \(transformerConfig.inChannels) latent channels (in_channels), but the"
                    + " autoencoder has \(autoencoderConfig.latentChannels) (latent_channels).",
                remedy: remedy)
        }
    }

    /// Whether a folder looks like a model: it has an index or manifest, or files of weights.
    public static func isModel(_ folder: URL) -> Bool {
        guard FileKind(folder) == .folder else { return false }
        let marks = [ModelLayout.indexName, ManifestFile.name]
        if marks.contains(where: { FileKind(folder.appending(path: $0)) == .file }) { return true }
        return (try? ModelParts.weightFiles(in: folder).isEmpty) == false
    }

    // MARK: Tensors

    /// The transformer's tensors, with the names of diffusers.
    ///
    /// - Throws: `CheckpointError`, as `TensorStore.init(folder:)` does.
    public func transformerStore() throws(CheckpointError) -> TensorStore {
        try store(.transformer)
    }

    /// The text encoder's tensors, without the prefix `model.` of some files.
    ///
    /// - Throws: `CheckpointError`, as `TensorStore.init(folder:)` does.
    public func textEncoderStore() throws(CheckpointError) -> TensorStore {
        try store(.textEncoder)
    }

    /// The autoencoder's tensors, with the names of diffusers.
    ///
    /// - Throws: `CheckpointError`, as `TensorStore.init(folder:)` does.
    public func autoencoderStore() throws(CheckpointError) -> TensorStore {
        try store(.autoencoder)
    }

    /// The tensors of the preview decoder, or `nil` without one.
    ///
    /// - Throws: `CheckpointError`, as `TensorStore.init(folder:)` does.
    package func previewStore() throws(CheckpointError) -> TensorStore? {
        parts.files[.preview] == nil ? nil : try store(.preview)
    }

    /// Opens a component on first use, and retains it.
    private func store(_ component: ModelComponent) throws(CheckpointError) -> TensorStore {
        if let store = stores.withLock({ $0[component] }) { return store }
        let raw =
            if let file = parts.files[component] {
                TensorStore(try WeightFile(file))
            } else {
                try TensorStore(folder: url.appending(path: component.rawValue))
            }
        let store = try raw.named(as: component)
        stores.withLock { $0[component] = store }
        return store
    }
}
