// Part of Inkstone. Licence: see LICENSE.

import Synchronization

#if canImport(FoundationEssentials)
    public import FoundationEssentials
#else
    public import Foundation
#endif

/// A model folder in the diffusers layout: its configuration, read and checked, and the way to its
/// tensors.
///
/// Opening reads the small JSON files alone; weights are mapped when they are first asked for.
public final class ModelDirectory: Sendable {
    /// The folder.
    public let url: URL
    /// Which pipeline the folder is for.
    public let index: ModelIndex
    /// Sizes of the transformer.
    public let transformerConfig: TransformerConfig
    /// Sizes of the text encoder.
    public let textEncoderConfig: TextEncoderConfig
    /// Sizes of the autoencoder.
    public let autoencoderConfig: AutoencoderConfig
    /// How noise levels are spread.
    public let schedulerConfig: SchedulerConfig
    /// Name, defaults and examples.
    public let manifest: ModelManifest

    /// The tokenizer's folder.
    public var tokenizerURL: URL { url.appending(path: "tokenizer") }
    /// Which member of the family this is.
    public var kind: ModelKind { ModelKind(scheduler: schedulerConfig) }

    private let stores = Mutex<[String: TensorStore]>([:])

    /// Opens a model folder and checks its layout and configuration.
    ///
    /// - Throws: `CheckpointError` of code `notFound` or `unreadable` for the folder itself,
    ///   `incomplete` for missing parts, `unsupported` for other layouts and models, `badConfig`
    ///   for values that cannot be.
    public init(url: URL) throws(CheckpointError) {
        try ModelLayout.check(url)
        self.url = url
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
            : .turbo
        let fallback = ModelManifest(
            kind: ModelKind(scheduler: schedulerConfig), id: ModelLayout.identifier(of: url),
            latentChannels: autoencoderConfig.latentChannels)
        let manifestURL = url.appending(path: ModelManifest.fileName)
        do {
            manifest = try ModelManifest(
                contentsOf: manifestURL, fallback: fallback,
                latentChannels: autoencoderConfig.latentChannels)
        } catch  where error.code == .notFound {
            manifest = fallback
        }
        try checkAgreement()
    }

    /// A model whose tensors are already there; only the tokenizer is read from `url`.
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
        try checkAgreement()
        stores.withLock {
            $0 = [
                "transformer": transformer.1, "text_encoder": textEncoder.1, "vae": autoencoder.1,
            ]
        }
    }

    /// The parts must fit each other.
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

    // MARK: Tensors

    /// The transformer's tensors.
    ///
    /// - Throws: `CheckpointError`, as `TensorStore.init(folder:)` does.
    public func transformerStore() throws(CheckpointError) -> TensorStore {
        try store("transformer") { store throws(CheckpointError) in store }
    }

    /// The text encoder's tensors, without the `model.` prefix that some files have.
    ///
    /// - Throws: `CheckpointError`, as `TensorStore.init(folder:)` does.
    public func textEncoderStore() throws(CheckpointError) -> TensorStore {
        try store("text_encoder") { store throws(CheckpointError) in
            try store.strippingPrefix("model.")
        }
    }

    /// The autoencoder's tensors.
    ///
    /// - Throws: `CheckpointError`, as `TensorStore.init(folder:)` does.
    public func autoencoderStore() throws(CheckpointError) -> TensorStore {
        try store("vae") { store throws(CheckpointError) in store }
    }

    /// Opens a component once, and keeps it.
    private func store(
        _ component: String, _ adapt: (TensorStore) throws(CheckpointError) -> TensorStore
    ) throws(CheckpointError) -> TensorStore {
        if let store = stores.withLock({ $0[component] }) { return store }
        let store = try adapt(TensorStore(folder: url.appending(path: component)))
        stores.withLock { $0[component] = store }
        return store
    }
}
