// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation
public import Tensors

extension TensorStore {
    /// Supported types of weights.
    public static let weightTypes: [DType] = [.f32, .f16, .bf16, .f64]

    /// Checks that every tensor of `specs` is present with its shape and a supported type, and that
    /// there are no others.
    ///
    /// - Parameters:
    ///   - specs: the tensors of the model.
    ///   - tolerating: whether a tensor that is not in `specs` is accepted.
    ///   - source: what the specs were derived from, for the message.
    /// - Throws: one `CheckpointError` that lists everything missing, unexpected and misshapen, of
    ///   code `missingTensor`, `badTensor` or `unexpectedTensor`.
    public func validate(
        _ specs: [TensorSpec], tolerating: (String) -> Bool = { _ in false },
        against source: String = "its config.json"
    ) throws(CheckpointError) {
        var missing: [String] = []
        var misshapen: [String] = []
        var mistyped: [String] = []
        var expected: Set<String> = []
        for spec in specs {
            expected.insert(spec.name)
            guard let tensor = self[spec.name] else {
                missing.append(spec.name)
                continue
            }
            if tensor.shape != spec.shape {
                misshapen.append("\(spec.name.quoted) is \(tensor.shape), expected \(spec.shape)")
            }
            if !Self.weightTypes.contains(tensor.dtype) {
                mistyped.append("\(spec.name.quoted) is \(tensor.dtype)")
            }
        }
        let unexpected = names.filter { !expected.contains($0) && !tolerating($0) }

        var findings: [String] = []
        if !missing.isEmpty {
            findings.append("\(count(missing)) missing (\(missing.listed()))")
        }
        if !unexpected.isEmpty {
            findings.append("\(count(unexpected)) not known (\(unexpected.listed()))")
        }
        if !misshapen.isEmpty {
            findings.append("\(count(misshapen)) of the wrong shape (\(listedTexts(misshapen)))")
        }
        if !mistyped.isEmpty {
            let types = Self.weightTypes.map(\.rawValue).joined(separator: ", ")
            findings.append(
                "\(count(mistyped)) of another type than \(types) (\(listedTexts(mistyped)))")
        }
        guard !findings.isEmpty else { return }
        let code: CheckpointError.Code =
            if !missing.isEmpty {
                .missingTensor
            } else if !misshapen.isEmpty || !mistyped.isEmpty {
                .badTensor
            } else {
                .unexpectedTensor
            }
        throw CheckpointError(
            code: code,
            message: "\(folder.path.quoted) does not fit \(source): "
                + findings.joined(separator: "; ") + ".",
            remedy: mistyped.isEmpty
                ? "Download the folder again." : "Use an unquantised checkpoint.")
    }

    private func count(_ names: [String]) -> String {
        names.count == 1 ? "1 tensor is" : "\(names.count) tensors are"
    }
}
