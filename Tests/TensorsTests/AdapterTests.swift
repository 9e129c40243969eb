// Part of Inkstone. Licence: see LICENSE.

import Tensors
import Testing

/// Products with adapters on some rows, compared with the reference implementation and bit for bit.
@Suite("Products with adapters")
struct AdapterTests {
    typealias Variant = KernelTests.Variant

    /// Parts of a matrix and their layout.
    struct Form: Sendable {
        let parts: [Int]
        let layout: MatrixSource.Layout

        static let all = [
            Form(parts: [70], layout: .stacked), Form(parts: [40, 13, 75], layout: .stacked),
            Form(parts: [50, 50], layout: .gated),
        ]
        var outputs: Int { parts.reduce(0, +) }
    }

    private static let depth = 67
    private static let rows = 45

    private func numbers(_ count: Int, seed: UInt64) -> [Float] {
        var generator = TorchGenerator(seed: seed)
        return Array(generator.normals(max(16, count)).prefix(count))
    }

    private func weights(_ form: Form) -> MatrixSource {
        MatrixSource(
            form.parts.enumerated().map { index, rows in
                StoredRows(
                    numbers(rows * Self.depth, seed: 10 + UInt64(index)), rows: rows,
                    depth: Self.depth)
            }, layout: form.layout)
    }

    /// Returns an adapter with the terms of a bit set: 0 low rank, 1 gain, 2 full rank, 3 bias.
    private func adapter(_ kinds: Int, _ form: Form, seed: UInt64) -> AdapterSource {
        var source = AdapterSource(parts: form.parts, depth: Self.depth, layout: form.layout)
        if kinds & 1 != 0 {
            var start = 0
            for (index, count) in form.parts.enumerated() {
                // With three parts, one is not changed.
                if index != 1 || form.parts.count < 3 {
                    let rank = 3 + 4 * index
                    source.lowRank.append(
                        .init(
                            outputs: start..<(start + count), rank: rank,
                            down: numbers(rank * Self.depth, seed: seed + UInt64(index)),
                            up: numbers(count * rank, seed: seed + 5 + UInt64(index))))
                }
                start += count
            }
        }
        if kinds & 2 != 0 { source.gain = numbers(form.outputs, seed: seed + 11) }
        if kinds & 4 != 0 { source.fullRank = numbers(form.outputs * Self.depth, seed: seed + 12) }
        if kinds & 8 != 0 { source.bias = numbers(form.outputs, seed: seed + 13) }
        return source
    }

    /// Returns the product of `rows` of the input with adapters.
    private func run(
        _ backend: CPUBackend, _ form: Form, rows: Range<Int> = 0..<rows,
        _ runs: [(rows: Range<Int>, kinds: Int, seed: UInt64, scale: Float)]
    ) -> [Float] {
        let precision = backend.precision
        let input = numbers(Self.rows * Self.depth, seed: 3)
        let x = backend.upload(
            Array(input[(rows.lowerBound * Self.depth)..<(rows.upperBound * Self.depth)]),
            rows: rows.count, columns: Self.depth)
        let adapters = runs.map {
            AdapterRun<CPUBackend>(
                rows: $0.rows,
                adapter: backend.makeAdapter(
                    adapter($0.kinds, form, seed: $0.seed), precision: precision),
                scale: $0.scale)
        }
        let matrix = backend.makeWeights(weights(form), precision: precision)
        let a = backend.operand(x, precision: precision)
        guard form.layout == .gated else {
            return backend.download(backend.product(a, matrix, adapters: adapters, adding: nil))
        }
        let result = backend.swiglu(a, matrix, adapters: adapters)
        var unit = [Float](repeating: 0, count: 50 * 50)
        for index in 0..<50 { unit[index * 51] = 1 }
        return backend.download(
            backend.product(
                result,
                backend.makeWeights(
                    MatrixSource([StoredRows(unit, rows: 50, depth: 50)]), precision: precision),
                adding: nil))
    }

    @Test(
        "agree with the reference implementation", arguments: Variant.all,
        [(0, 1), (1, 15), (2, 15), (1, 2)])
    func reference(_ variant: Variant, _ choice: (form: Int, kinds: Int)) throws {
        let form = Form.all[choice.form]
        let fast = try variant.backend()
        let reference = try CPUBackend(referenceFor: fast, precision: variant.precision)
        // Rows without an adapter, with one, with several; ranges that start and end inside a tile.
        let runs: [(rows: Range<Int>, kinds: Int, seed: UInt64, scale: Float)] = [
            (1..<2, choice.kinds, 20, 0.5), (5..<31, choice.kinds, 40, -1.5),
            (17..<45, choice.kinds, 60, 0.25), (5..<31, 1, 80, 1),
        ]
        let got = run(fast, form, runs)
        let want = run(reference, form, runs)
        let without = run(fast, form, [])
        let largest = want.map(abs).max() ?? 0
        let worst = zip(got, want).map { abs($0 - $1) }.max() ?? .infinity
        // The down-projected rows are rounded to bf16, in either direction.
        let tolerance: Float = variant.precision == .f32 ? 2e-5 : 1.5e-2
        #expect(worst <= tolerance * largest, "largest difference \(worst) of \(largest)")
        let columns = got.count / Self.rows
        for row in 0..<Self.rows {
            let range = (row * columns)..<((row + 1) * columns)
            let isUnchanged = row == 0 || (2..<5).contains(row)
            #expect((got[range] == without[range]) == isUnchanged, "row \(row)")
        }
    }

    @Test("agree with the definition, computed in f64")
    func formula() throws {
        let form = Form.all[1]
        let backend = try CPUBackend(precision: .f32, threads: 2)
        let source = adapter(15, form, seed: 20)
        let got = run(backend, form, [(2..<40, 15, 20, 0.5)])
        let base = run(backend, form, [])
        let input = numbers(Self.rows * Self.depth, seed: 3)
        for row in [0, 2, 39, 40] {
            for output in stride(from: 0, to: form.outputs, by: 7) {
                func dot(_ weights: [Float], _ at: Int) -> Double {
                    (0..<Self.depth).reduce(0) {
                        $0 + Double(weights[at + $1]) * Double(input[row * Self.depth + $1])
                    }
                }
                var want = Double(base[row * form.outputs + output])
                if (2..<40).contains(row) {
                    var change = Double(source.gain?[output] ?? 0) * want
                    for part in source.lowRank where part.outputs.contains(output) {
                        for rank in 0..<part.rank {
                            let at = (output - part.outputs.lowerBound) * part.rank + rank
                            change += Double(part.up[at]) * dot(part.down, rank * Self.depth)
                        }
                    }
                    change += dot(source.fullRank ?? [], output * Self.depth)
                    change += Double(source.bias?[output] ?? 0)
                    want += 0.5 * change
                }
                #expect(abs(Double(got[row * form.outputs + output]) - want) < 1e-3)
            }
        }
    }

    @Test(
        "are bit-identical alone, in any batch and on any number of threads",
        arguments: Variant.all,
        Form.all)
    func invariance(_ variant: Variant, _ form: Form) throws {
        let backend = try variant.backend()
        let whole = run(
            backend, form, [(3..<20, 3, 20, 0.5), (20..<45, 9, 40, -1.5), (20..<45, 5, 60, 0.25)])
        let single = run(
            try variant.backend(threads: 1), form,
            [(3..<20, 3, 20, 0.5), (20..<45, 9, 40, -1.5), (20..<45, 5, 60, 0.25)])
        #expect(whole.map(\.bitPattern) == single.map(\.bitPattern))
        let columns = whole.count / Self.rows
        let none = run(backend, form, rows: 0..<3, [])
        #expect(none.map(\.bitPattern) == whole[..<(3 * columns)].map(\.bitPattern))
        let one = run(backend, form, rows: 7..<20, [(0..<13, 3, 20, 0.5)])
        #expect(
            one.map(\.bitPattern) == whole[(7 * columns)..<(20 * columns)].map(\.bitPattern))
        let two = run(
            backend, form, rows: 44..<45, [(0..<1, 9, 40, -1.5), (0..<1, 5, 60, 0.25)])
        #expect(two.map(\.bitPattern) == whole[(44 * columns)...].map(\.bitPattern))
    }
}
