// Part of Inkstone. Licence: see LICENSE.

import Basics
import Tensors

/// Combines the weights of a quantised safetensors file with their scales.
///
/// Supports the formats of ComfyUI with all three kinds of marks: a tensor `….comfy_quant` for each
/// layer, the file's `_quantization_metadata`, and the older `scaled_fp8`. The type of a weight
/// decides: some files have scales for weights that are not quantised.
///
/// - Source: ComfyUI, `comfy/quant_ops.py` and `comfy/ops.py`.
struct QuantizedTensors {
    /// The mark of a layer.
    private struct Mark {
        var format: String?
        var isRotated = false
        var group = 256
    }

    private let tensors: [String: StoredTensor]
    private let metadata: [String: String]
    /// The file, in quotes.
    private let source: String

    private static let known: [String: [DType]] = [
        "float8_e4m3fn": [.f8E4M3], "float8_e5m2": [.f8E5M2], "mxfp8": [.f8E4M3],
        "int8_tensorwise": [.i8], "nvfp4": [.u8],
    ]
    private static let companions = [
        "weight_scale", "scale_weight", "weight_scale_2", "input_scale", "scale_input",
        "comfy_quant", "pre_quant_scale",
    ]

    init(_ tensors: [String: StoredTensor], metadata: [String: String], source: String) {
        self.tensors = tensors
        self.metadata = metadata
        self.source = source
    }

    /// All tensors, with codings instead of scales.
    ///
    /// - Throws: `CheckpointError` of code `unsupported` that names the format, or `badTensor` for
    ///   invalid scales.
    func joined() throws(CheckpointError) -> [String: StoredTensor] {
        var found = ""
        if let format = ForeignQuantization(tensors: tensors.keys, found: &found) {
            throw format.error(source, "it has the tensor \(found.quoted)")
        }
        let marks = try marksOfMetadata()
        var joined: [String: StoredTensor] = [:]
        for (name, tensor) in tensors where name.hasSuffix(".weight") {
            let module = String(name.dropLast(".weight".count))
            let mark = try mark(of: module) ?? marks[module] ?? Mark()
            joined[name] = try self.joined(tensor, module: module, mark)
        }
        for (name, tensor) in tensors where joined[name] == nil && !isCompanion(name) {
            joined[name] = tensor
        }
        return joined
    }

    /// Whether a tensor describes another one or the file.
    private func isCompanion(_ name: String) -> Bool {
        if name == "scaled_fp8" || name.hasSuffix(".scaled_fp8") { return true }
        return Self.companions.contains { ending in
            name.hasSuffix("." + ending)
                && tensors[name.dropLast(ending.count) + "weight"] != nil
        }
    }

    // MARK: Marks

    private func marksOfMetadata() throws(CheckpointError) -> [String: Mark] {
        guard let text = metadata["_quantization_metadata"] else { return [:] }
        let source = "'_quantization_metadata' in \(source)"
        guard
            let layers = try ConfigReader(Self.json(text, source), source: source).object("layers")
        else { return [:] }
        var marks: [String: Mark] = [:]
        for (module, value) in layers.members {
            marks[module] = try Self.mark(ConfigReader(value, source: source, path: module))
        }
        return marks
    }

    private func mark(of module: String) throws(CheckpointError) -> Mark? {
        guard let tensor = tensors[module + ".comfy_quant"] else { return nil }
        guard tensor.dtype == .u8, tensor.bytes.count <= 1 << 16 else {
            throw bad(module, "comfy_quant is not a short text")
        }
        let source = "'\(module).comfy_quant' in \(source)"
        return try Self.mark(
            ConfigReader(JSONValue(parsing: tensor.bytes, source: source), source: source))
    }

    private static func mark(_ reader: ConfigReader) throws(CheckpointError) -> Mark {
        Mark(
            format: try reader.string("format"), isRotated: try reader.bool("convrot") ?? false,
            group: try reader.integer("convrot_groupsize", in: 1...65_536) ?? 256)
    }

    private static func json(
        _ text: String, _ source: String
    ) throws(CheckpointError) -> JSONValue {
        let bytes = Array(text.utf8)
        return try bytes.withUnsafeBufferPointer { buffer throws(CheckpointError) in
            try JSONValue(parsing: UnsafeRawBufferPointer(buffer), source: source)
        }
    }

    // MARK: Weights

    private func joined(
        _ tensor: StoredTensor, module: String, _ mark: Mark
    ) throws(CheckpointError) -> StoredTensor {
        let isPlain = TensorStore.weightTypes.contains(tensor.dtype)
        // The scale of an unquantised weight is ignored.
        if isPlain { return tensor }
        if let format = mark.format {
            guard let types = Self.known[format] else {
                throw CheckpointError(
                    code: .unsupported,
                    message: "\(source) stores \(module.quoted) in the format \(format.quoted),"
                        + " which is not supported.",
                    remedy: ForeignQuantization.remedy)
            }
            guard types.contains(tensor.dtype) else {
                throw bad(module, "the format is \(format), but the weight is \(tensor.dtype)")
            }
        }
        guard let rows = tensor.shape.first, rows > 0, tensor.count > 0 else {
            throw bad(module, "the shape \(tensor.shape) cannot be")
        }
        let columns = tensor.count / rows
        let coding: any TensorCoding
        var shape = tensor.shape
        switch (tensor.dtype, mark.format) {
        case (.f8E4M3, "mxfp8"):
            coding = try tiled(.mxfp8, module, rows: rows, columns: columns)
        case (.f8E4M3, _), (.f8E5M2, _):
            coding = ByteCoding(
                dtype: tensor.dtype, columns: columns,
                scales: try scales(module, rows: rows) ?? [1])
        case (.i8, _):
            guard let scales = try scales(module, rows: rows) else {
                throw bad(module, "the weight is I8, but there is no scale beside it")
            }
            coding = ByteCoding(
                dtype: .i8, columns: columns, scales: scales,
                rotation: try rotation(mark, module, columns: columns))
        case (.u8, "nvfp4"):
            guard tensor.shape.count == 2 else {
                throw bad(module, "the shape \(tensor.shape) cannot be")
            }
            shape = [rows, 2 * columns]
            coding = try tiled(.nvfp4, module, rows: rows, columns: 2 * columns)
        default:
            throw CheckpointError(
                code: .unsupported,
                message: "\(source) stores \(module.quoted) as \(tensor.dtype) without saying how,"
                    + " which is not supported.",
                remedy: ForeignQuantization.remedy)
        }
        return tensor.recoded(try scaled(coding, module), shape: shape)
    }

    private func tiled(
        _ format: TiledScaleCoding.Format, _ module: String, rows: Int, columns: Int
    ) throws(CheckpointError) -> TiledScaleCoding {
        let type: DType = format == .nvfp4 ? .f8E4M3 : .f8E8M0
        guard let scales = tensors[module + ".weight_scale"],
            // Files store E8M0, a recent type, as U8 as well.
            scales.dtype == type || scales.dtype == .u8,
            scales.bytes.count == TiledScaleCoding.scaleCount(format, rows: rows, columns: columns)
        else { throw bad(module, "weight_scale does not fit the format \(format.rawValue)") }
        var factor: Float = 1
        if let tensor = tensors[module + ".weight_scale_2"] {
            guard tensor.count == 1 else { throw bad(module, "weight_scale_2 is not one number") }
            factor = try tensor.floats()[0]
        }
        return TiledScaleCoding(format, columns: columns, scales: scales, factor: factor)
    }

    /// One scale, or one per row; `nil` without any.
    private func scales(_ module: String, rows: Int) throws(CheckpointError) -> [Float]? {
        guard
            let tensor = tensors[module + ".weight_scale"] ?? tensors[module + ".scale_weight"]
        else { return nil }
        guard tensor.count == 1 || tensor.count == rows, tensor.shape.first ?? 1 == tensor.count
        else {
            throw bad(
                module, "its scale has the shape \(tensor.shape), expected one number or \(rows)")
        }
        return try tensor.floats()
    }

    private func rotation(
        _ mark: Mark, _ module: String, columns: Int
    ) throws(CheckpointError) -> Int {
        guard mark.isRotated else { return 1 }
        var power = 4
        while power < mark.group { power *= 4 }
        guard power == mark.group, columns.isMultiple(of: power) else {
            throw bad(
                module, "its \(columns) columns cannot be rotated in groups of \(mark.group)")
        }
        return power
    }

    /// The coding with a factor per input, if the file has them.
    private func scaled(
        _ coding: any TensorCoding, _ module: String
    ) throws(CheckpointError) -> any TensorCoding {
        guard let tensor = tensors[module + ".pre_quant_scale"] else { return coding }
        guard tensor.count == coding.unit else {
            throw bad(
                module, "pre_quant_scale has \(tensor.count) numbers, expected \(coding.unit)")
        }
        return ColumnScaleCoding(base: coding, factors: try tensor.floats())
    }

    private func bad(_ module: String, _ reason: String) -> CheckpointError {
        CheckpointError(
            code: .badTensor, message: "\(source), layer \(module.quoted): \(reason).",
            remedy: "Download the file again.")
    }
}
