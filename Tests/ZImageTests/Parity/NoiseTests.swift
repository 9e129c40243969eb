// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import Tensors
import Testing

/// The generator draws the same numbers as torch.
@Suite("Noise is torch's")
struct NoiseTests {
    private static let file = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures/parity/noise.safetensors")

    private static let seeds: [Int64] = [0, 7, 42, 4_294_967_303, -1]

    @Test("integers are exact", arguments: seeds)
    func integers(_ seed: Int64) throws {
        let file = try SafetensorsFile(url: Self.file)
        let first = try #require(file.tensor(named: "integers.\(seed).first"))
        var generator = TorchGenerator(seed: UInt64(bitPattern: seed))
        for index in 0..<first.count {
            let want = first.bytes.loadUnaligned(fromByteOffset: 8 * index, as: Int64.self)
            #expect(Int64(generator.next32()) == want)
        }
    }

    @Test("normals agree to 5e-7", arguments: seeds)
    func normals(_ seed: Int64) throws {
        let file = try SafetensorsFile(url: Self.file)
        let names = file.tensors.keys.filter { $0.hasPrefix("randn.\(seed).") }
        #expect(names.count >= 8)
        for name in names {
            let parts = name.split(separator: ".")
            let count = try #require(Int(parts[2]))
            var generator = TorchGenerator(seed: UInt64(bitPattern: seed))
            let got = generator.normals(count)
            let want = try #require(file.tensor(named: name)).floats()
            let own =
                parts.last == "last"
                ? Array(got.suffix(want.count)) : Array(got.prefix(want.count))
            let worst = zip(own, want).map { abs($0 - $1) }.max() ?? 1
            #expect(worst <= Tolerance.noise, "\(name): \(worst)")
        }
    }

    @Test("a short draw leaves its second number to the next")
    func spare() {
        var together = TorchGenerator(seed: 7)
        var apart = TorchGenerator(seed: 7)
        let both = together.normals(4)
        #expect(both == apart.normals(1) + apart.normals(3))
    }
}
