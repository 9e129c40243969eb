// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import Tensors
import Testing

/// Random LoRA files in every format, and what each does to the weights by the format's own formula,
/// computed here with plain loops.
struct LoRAWriter {
    /// A weight that is changed.
    struct Module: Sendable {
        let name: String
        let rows: Int
        let depth: Int
    }

    /// Layers of the embedded model, of every kind.
    static let modules = [
        Module(name: "layers.0.attention.to_q", rows: 288, depth: 288),
        Module(name: "layers.0.feed_forward.w3", rows: 768, depth: 288),
        Module(name: "layers.1.feed_forward.w2", rows: 288, depth: 768),
        Module(name: "layers.2.attention.to_out.0", rows: 288, depth: 288),
        Module(name: "noise_refiner.0.adaLN_modulation.0", rows: 1152, depth: 256),
        Module(name: "context_refiner.0.attention.to_v", rows: 288, depth: 288),
        Module(name: "all_final_layer.2-1.linear", rows: 64, depth: 288),
    ]
    /// Layers of the embedded model's text encoder.
    static let textModules = [
        Module(name: "layers.0.self_attn.q_proj", rows: 256, depth: 192),
        Module(name: "layers.1.mlp.down_proj", rows: 192, depth: 512),
    ]

    private var generator: TorchGenerator
    /// What the file holds.
    private(set) var tensors: [NewTensor] = []
    /// What it does at strength 1: whole matrices by name of the module.
    private(set) var changes: [String: [Float]] = [:]
    private var shapes: [String: [Int]] = [:]

    init(seed: UInt64) { generator = TorchGenerator(seed: seed) }

    mutating func draw(_ rows: Int, _ columns: Int, size: Float = 1) -> [Float] {
        generator.normals(max(16, rows * columns)).prefix(rows * columns).map { $0 * size }
    }

    mutating func add(_ name: String, _ shape: [Int], _ numbers: [Float]) {
        tensors.append(NewTensor(name, shape: shape, .f32(numbers)))
    }

    mutating func change(_ module: Module, _ numbers: [Float]) {
        changes[module.name] = numbers
        shapes[module.name] = [module.rows, module.depth]
    }

    static func multiply(_ a: [Float], _ b: [Float], _ inner: Int, _ factor: Float = 1) -> [Float] {
        let (rows, columns) = (a.count / inner, b.count / inner)
        var out = [Float](repeating: 0, count: rows * columns)
        for row in 0..<rows {
            for column in 0..<columns {
                var sum = 0.0
                for k in 0..<inner {
                    sum += Double(a[row * inner + k]) * Double(b[k * columns + column])
                }
                out[row * columns + column] = Float(sum) * factor
            }
        }
        return out
    }

    // MARK: - Formats

    /// `down` and `up` of some rank, and alpha if given.
    mutating func addThin(
        _ module: Module, key: String, rank: Int, down: String, up: String, alpha: Float? = nil
    ) {
        let a = draw(rank, module.depth, size: 0.1)
        let b = draw(module.rows, rank, size: 0.1)
        add(key + down, [rank, module.depth], a)
        add(key + up, [module.rows, rank], b)
        if let alpha { add(key + ".alpha", [], [alpha]) }
        change(module, Self.multiply(b, a, rank, (alpha ?? Float(rank)) / Float(rank)))
    }

    mutating func addHadamard(_ module: Module, rank: Int, alpha: Float) {
        let (r, c) = (module.rows, module.depth)
        let pairs = (0..<2).map { _ in (draw(r, rank, size: 0.4), draw(rank, c, size: 0.4)) }
        for (index, pair) in pairs.enumerated() {
            add("lycoris_\(underscored(module)).hada_w\(index + 1)_a", [r, rank], pair.0)
            add("lycoris_\(underscored(module)).hada_w\(index + 1)_b", [rank, c], pair.1)
        }
        add("lycoris_\(underscored(module)).alpha", [1], [alpha])
        let wholes = pairs.map { Self.multiply($0.0, $0.1, rank) }
        change(module, zip(wholes[0], wholes[1]).map { $0 * $1 * alpha / Float(rank) })
    }

    /// A Kronecker product of a small and a large factor; ranks of 0 store a factor whole.
    mutating func addKronecker(_ module: Module, ranks: (Int, Int), alpha: Float) {
        let (a, b) = (4, 8)
        let (p, q) = (module.rows / a, module.depth / b)
        let key = "lycoris_\(underscored(module))"
        func factor(
            _ number: Int, _ rows: Int, _ columns: Int, _ rank: Int, _ own: inout LoRAWriter
        )
            -> [Float]
        {
            if rank == 0 {
                let whole = own.draw(rows, columns, size: 0.15)
                own.add("\(key).lokr_w\(number)", [rows, columns], whole)
                return whole
            }
            let (x, y) = (own.draw(rows, rank, size: 0.3), own.draw(rank, columns, size: 0.3))
            own.add("\(key).lokr_w\(number)_a", [rows, rank], x)
            own.add("\(key).lokr_w\(number)_b", [rank, columns], y)
            return Self.multiply(x, y, rank)
        }
        let w1 = factor(1, a, b, ranks.0, &self)
        let w2 = factor(2, p, q, ranks.1, &self)
        add(key + ".alpha", [], [alpha])
        let rank = ranks.1 > 0 ? ranks.1 : ranks.0
        let scale = rank > 0 ? alpha / Float(rank) : 1
        var out = [Float](repeating: 0, count: module.rows * module.depth)
        for row in 0..<module.rows {
            for column in 0..<module.depth {
                out[row * module.depth + column] =
                    w1[row / p * b + column / q] * w2[row % p * q + column % q] * scale
            }
        }
        change(module, out)
    }

    /// Thin matrices, then the stored magnitude of every row or column.
    mutating func addMagnitude(
        _ module: Module, rank: Int, byRows: Bool, weights: [Float], key: String = ".dora_scale"
    ) {
        addThin(
            module, key: "transformer.\(module.name)", rank: rank, down: ".lora_A.weight",
            up: ".lora_B.weight")
        let (r, c) = (module.rows, module.depth)
        let sum = zip(weights, changes[module.name] ?? []).map { Double($0) + Double($1) }
        let count = byRows ? r : c
        let magnitude = draw(1, count, size: 0.3).map { 1 + abs($0) }
        add("transformer.\(module.name)\(key)", byRows ? [r, 1] : [1, c], magnitude)
        var squares = [Double](repeating: 0, count: count)
        for index in sum.indices {
            squares[byRows ? index / c : index % c] += sum[index] * sum[index]
        }
        change(
            module,
            sum.indices.map { index in
                let place = byRows ? index / c : index % c
                let goal = Double(magnitude[place]) * sum[index] / squares[place].squareRoot()
                return Float(goal - Double(weights[index]))
            })
    }

    func underscored(_ module: Module) -> String {
        module.name.map { $0 == "." ? "_" : String($0) }.joined()
    }

    // MARK: - Files

    func write(_ name: String, in folder: URL) throws -> URL {
        let url = folder.appending(path: name)
        try SafetensorsFile.write(tensors, to: url)
        return url
    }

    /// The same changes as whole matrices, which need no formula.
    func writeWhole(_ name: String, in folder: URL) throws -> URL {
        let url = folder.appending(path: name)
        try SafetensorsFile.write(
            changes.keys.sorted().map { module in
                NewTensor(
                    module + ".diff", shape: shapes[module] ?? [], .f32(changes[module] ?? []))
            }, to: url)
        return url
    }
}
