// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Tensors
import Testing

/// Tensors of noise: of any size, the same in every run.
@Suite("Random tensors")
struct RandomTensorsTests {
    @Test("matrices have the scale of their depth, norms are near 1, biases near 0")
    func statistics() throws {
        let store = try TensorStore.random([
            TensorSpec("a.weight", [300, 400]), TensorSpec("c.weight", [40, 30, 3, 3]),
            TensorSpec("norm.weight", [10_000]), TensorSpec("a.bias", [10_000]),
            TensorSpec("x_pad_token", [1, 10_000]),
        ])
        #expect(store.fileIdentities.isEmpty)
        for (name, mean, deviation) in [
            ("a.weight", 0.0, 0.05), ("c.weight", 0, 1 / 270.0.squareRoot()),
            ("norm.weight", 1, 0.02), ("a.bias", 0, 0.02), ("x_pad_token", 0, 0.02),
        ] as [(String, Double, Double)] {
            let numbers = try #require(store[name]).floats().map(Double.init)
            let found = numbers.reduce(0, +) / Double(numbers.count)
            let square = numbers.reduce(0) { $0 + ($1 - found) * ($1 - found) }
            let spread = (square / Double(numbers.count)).squareRoot()
            #expect(abs(found - mean) < deviation / 10, "\(name): \(found)")
            #expect(abs(spread / deviation - 1) < 0.03, "\(name): \(spread)")
        }
    }

    @Test("a large tensor is readable to its end and repeats, another name begins elsewhere")
    func large() throws {
        let specs = [
            TensorSpec("a.weight", [9001, 1024]), TensorSpec("b.weight", [9001, 1024]),
        ]
        let (first, second) = (try TensorStore.random(specs), try TensorStore.random(specs))
        let (a, b) = (try #require(first["a.weight"]), try #require(first["b.weight"]))
        #expect(a.bytes.count == 9001 * 1024 * 2)
        #expect(try a.floats(in: (a.count - 5)..<a.count).allSatisfy { $0.isFinite })
        #expect(try a.floats(in: 0..<1000) != b.floats(in: 0..<1000))
        let again = try #require(second["a.weight"])
        #expect(try a.floats(in: 4_000_000..<5_000_000) == again.floats(in: 4_000_000..<5_000_000))
        first.releasePages(of: "a.weight")
        #expect(try a.floats(in: 0..<1000) == again.floats(in: 0..<1000))
    }
}
