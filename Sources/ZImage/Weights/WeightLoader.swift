// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Tensors

/// Loads a component's stored tensors to a device and merges LoRA files into them.
struct WeightLoader<Device: Backend>: Sendable {
    let device: Device
    let store: TensorStore
    /// Changes of the weights by LoRA files; empty for most models.
    let changes: WeightChanges
    /// Packed weights on disk; `nil` if all are packed into memory.
    private(set) var session: WeightCacheSession?
    /// Where the device keeps the matrices of products.
    private(set) var placement = WeightPlacement.device

    init(device: Device, store: TensorStore, changes: WeightChanges = WeightChanges()) {
        self.device = device
        self.store = store
        self.changes = changes.only(in: store)
    }

    /// A loader of matrices that stay in the machine's memory between their uses.
    var onHost: WeightLoader {
        var loader = self
        loader.placement = .host
        return loader
    }

    /// An error of the cache, after which the component is loaded without it.
    private struct CacheFailure: Error {
        let error: CheckpointError
    }

    /// Loads a component from the cache, into the cache, or without it.
    ///
    /// - Parameters:
    ///   - component: name of the component.
    ///   - cache: stores packed weights; not used for weights that LoRA files change.
    ///   - load: creates the component; called again if the cache fails.
    /// - Returns: the component, and where its weights are stored.
    /// - Throws: errors of `load`.
    func load<Part>(
        _ component: String, cache: WeightCache?, _ load: (WeightLoader) throws -> Part
    ) throws -> (part: Part, origin: WeightOrigin) {
        let width = device.precision.bytesPerWeight
        let bytes = store.names.reduce(0) { $0 + (store[$1]?.count ?? 0) * width }
        guard let cache, changes.isEmpty, let form = device.packedForm,
            let session = cache.session(component, of: store, form: form, bytes: bytes)
        else { return (try load(self), .memory) }
        do {
            var loader = self
            loader.session = session
            let part = try load(loader)
            // What a device lost is not in the file.
            if let failure = device.failure { throw failure }
            do { try session.finish() } catch { throw CacheFailure(error: error) }
            return (part, session.isWarm ? .cache : .newCache)
        } catch let failure as CacheFailure {
            session.discard()
            cache.report(failure.error)
            return (try load(self), .memory)
        }
    }

    /// Asks the system to read ahead the tensors of a module that will be packed soon.
    func willNeed(_ module: String) {
        guard session?.isWarm != true else { return }
        for name in store.names where name.hasPrefix(module + ".") { store.willNeed(name) }
    }

    /// Loads a linear layer.
    ///
    /// - Throws: `CheckpointError` for a tensor that is missing or does not fit the precision.
    func linear(_ spec: LinearSpec) throws -> Linear<Device> {
        let weights = try weights(
            spec.weights, layout: spec.layout, bias: spec.hasBias ? spec.parts.map(\.bias) : [],
            precision: spec.precision(on: device))
        return Linear(key: spec.key, weights: weights, device: device)
    }

    /// Loads the kernel and the bias of a convolution.
    func weights(_ spec: ConvolutionSpec) throws -> Device.Weights {
        try weights(
            [spec.weight], layout: spec.layout, bias: spec.hasBias ? [spec.bias] : [],
            precision: device.sensitivePrecision)
    }

    /// Loads the parameters of a group norm; epsilon is 1e-6 throughout the autoencoder.
    func groupNorm(_ spec: GroupNormSpec, groups: Int, silu: Bool) throws -> GroupNorm<Device> {
        GroupNorm(
            groups: groups, weight: try vector(spec.weight), bias: try vector(spec.bias),
            epsilon: 1e-6, silu: silu)
    }

    /// Loads a vector of parameters.
    func vector(_ spec: TensorSpec) throws -> Device.Vector {
        device.makeVector(try numbers(spec.name))
    }

    /// Loads a vector of parameters as a matrix of one row.
    func row(_ spec: TensorSpec) throws -> Device.Values {
        let numbers = try numbers(spec.name)
        return device.upload(numbers, rows: 1, columns: numbers.count)
    }

    /// A weight matrix from tensors of shape `[rows, depth]`, or from the kernels of a convolution.
    private func weights(
        _ names: [String], layout: MatrixSource.Layout, bias: [String], precision: Precision
    ) throws -> Device.Weights {
        // A device without memory drops what follows: reading the rest of the files would take minutes.
        if let failure = device.failure { throw failure }
        // The name contains everything the matrix depends on: a tensor may be packed in two ways.
        let name = "\(names.joined(separator: " ")) \(layout) \(precision.rawValue)"
        do throws(CheckpointError) {
            if let session, let stored = try session.matrix(named: name) {
                guard let weights = device.makeWeights(stored, placement: placement) else {
                    throw session.unfit(name)
                }
                return weights
            }
        } catch { throw CacheFailure(error: error) }
        let parts = try names.map { try rows($0) }
        if precision == .int8 {
            for (name, part) in zip(names, parts) where part.depth > device.longestInt8Row {
                throw CheckpointError(
                    code: .unsupported,
                    message: "tensor '\(name)' has \(part.depth) columns, but products in int8 take"
                        + " at most \(device.longestInt8Row).",
                    remedy: "Choose the precision bf16.")
            }
        }
        let biases = try zip(names, bias).flatMap { name, bias in
            changes.merged(biasOf: name, into: try numbers(bias))
        }
        let made = device.makeWeights(
            MatrixSource(parts, layout: layout, bias: bias.isEmpty ? nil : biases),
            precision: precision, placement: placement)
        // Pages that have been read would otherwise fill memory in a model of full size.
        for name in names { store.releasePages(of: name) }
        return try stored(made, name)
    }

    /// Stores weights in the cache's file; returns them as mapped from it, so that memory does not hold them
    /// twice, if the device can use them there.
    private func stored(_ weights: Device.Weights, _ name: String) throws -> Device.Weights {
        guard let session, !session.isWarm, let packed = device.packed(weights) else {
            return weights
        }
        do throws(CheckpointError) {
            let stored = try session.store(packed, named: name)
            guard device.mapsPackedWeights else { return weights }
            guard let mapped = device.makeWeights(stored, placement: placement) else {
                throw session.unfit(name)
            }
            return mapped
        } catch { throw CacheFailure(error: error) }
    }

    /// Returns all numbers of a tensor as f32.
    private func numbers(_ name: String) throws -> [Float] {
        try tensor(name).floats()
    }

    /// Returns a weight as f32, with LoRA files merged.
    func merged(_ name: String) throws -> [Float] {
        let tensor = try tensor(name)
        guard changes.terms[name] != nil, tensor.shape.count == 2 else {
            return try tensor.floats()
        }
        return changes.merged(
            name, into: try tensor.floats(), rows: tensor.shape[0], depth: tensor.shape[1],
            on: device)
    }

    func tensor(_ name: String) throws -> StoredTensor {
        guard let tensor = store[name] else {
            throw CheckpointError(
                code: .missingTensor,
                message: "tensor '\(name)' is missing.",
                remedy: "Download the model folder again.")
        }
        return tensor
    }

    private func rows(_ name: String) throws -> StoredRows {
        let tensor = try tensor(name)
        let shape = tensor.shape
        let rows = shape.first ?? 1
        let depth = shape.count > 1 ? shape[1] : 1
        let taps = shape.dropFirst(2).reduce(1, *)
        if changes.terms[name] != nil {
            return StoredRows(try merged(name), rows: rows, depth: depth, taps: taps)
        }
        if let decoded = tensor.decodedRows(rows: rows, depth: depth, taps: taps) { return decoded }
        return StoredRows(
            bytes: tensor.bytes, dtype: tensor.dtype, rows: rows, depth: depth, taps: taps,
            owner: tensor)
    }
}
