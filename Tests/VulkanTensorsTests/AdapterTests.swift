// Part of Inkstone. Licence: see LICENSE.

import Tensors
import Testing
import VulkanTensors

/// Products with adapters on some rows.
@Suite("Products with adapters on a Vulkan device", .needsVulkan)
struct AdapterTests {
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

    /// A product with two adapters, whose rows overlap.
    struct Product: OperationTests.Computation {
        let form: Form
        /// Terms of the adapters as bits: 0 low rank, 1 gain, 2 full rank, 3 bias.
        let kinds: [Int]
        /// Rows of each adapter.
        var ranges = [5..<30, 20..<45]
        static let (rows, depth) = (45, 67)

        private func numbers(_ count: Int, _ seed: UInt64) -> [Float] {
            OperationTests.numbers(count, seed: seed)
        }

        private func adapter(_ kinds: Int, seed: UInt64) -> AdapterSource {
            var source = AdapterSource(parts: form.parts, depth: Self.depth, layout: form.layout)
            var start = 0
            for (index, count) in form.parts.enumerated() where kinds & 1 != 0 {
                // Of three parts one is not changed.
                if index != 1 || form.parts.count < 3 {
                    let rank = 3 + 4 * index
                    source.lowRank.append(
                        .init(
                            outputs: start..<(start + count), rank: rank,
                            down: numbers(rank * Self.depth, seed + UInt64(index)),
                            up: numbers(count * rank, seed + 5 + UInt64(index))))
                }
                start += count
            }
            if kinds & 2 != 0 { source.gain = numbers(form.outputs, seed + 11) }
            if kinds & 4 != 0 { source.fullRank = numbers(form.outputs * Self.depth, seed + 12) }
            if kinds & 8 != 0 { source.bias = numbers(form.outputs, seed + 13) }
            return source
        }

        func callAsFunction<Device: Backend>(_ backend: Device) -> [Float] {
            self(backend, placement: .device)
        }

        func callAsFunction<Device: Backend>(
            _ backend: Device, placement: WeightPlacement
        ) -> [Float] {
            let precision = backend.precision
            let weights = backend.makeWeights(
                MatrixSource(
                    form.parts.enumerated().map { index, rows in
                        StoredRows(
                            numbers(rows * Self.depth, 10 + UInt64(index)), rows: rows,
                            depth: Self.depth)
                    }, layout: form.layout), precision: precision, placement: placement)
            let x = backend.operand(
                backend.upload(
                    numbers(Self.rows * Self.depth, 3), rows: Self.rows, columns: Self.depth),
                precision: precision)
            let runs = zip(kinds, ranges).enumerated().map { index, item in
                AdapterRun<Device>(
                    rows: item.1,
                    adapter: backend.makeAdapter(
                        adapter(item.0, seed: UInt64(100 * (index + 1))), precision: precision),
                    scale: index == 0 ? 0.7 : -0.4)
            }
            if form.layout == .gated {
                return OperationTests.read(
                    backend.swiglu(x, weights, adapters: runs), backend)
            }
            return backend.download(backend.product(x, weights, adapters: runs, adding: nil))
        }
    }

    @Test(
        "adapters of every kind are those of the CPU", arguments: Form.all,
        [[1, 1], [2, 2], [4, 8], [15, 3], [8, 12]])
    func kinds(_ form: Form, _ kinds: [Int]) throws {
        try compare(Product(form: form, kinds: kinds))
    }

    @Test("adapters that cover all rows, each row by one", arguments: Form.all)
    func allRows(_ form: Form) throws {
        try compare(Product(form: form, kinds: [1], ranges: [0..<45]))
        try compare(Product(form: form, kinds: [1, 1], ranges: [17..<45, 0..<17]))
        try compare(Product(form: form, kinds: [1, 5], ranges: [17..<45, 0..<17]))
        try compare(Product(form: form, kinds: [1, 1], ranges: [0..<45, 0..<45]))
    }

    private func compare(_ product: Product) throws {
        let want = product(try CPUBackend(precision: .f32, threads: 2))
        let device = try TestDevice.backend()
        let got = product(device)
        if let failure = device.failure { throw failure }
        let largest = want.map(abs).max() ?? 0
        let worst = zip(got, want).map { abs($0 - $1) }.max() ?? .nan
        #expect(worst <= 4e-5 * largest, "\(worst) of \(largest)")
    }

    @Test(
        "products with weights on the host have the same bytes", arguments: Form.all,
        [RecordingOrder.asRecorded, .reversed])
    func weightsOnHost(_ form: Form, _ order: RecordingOrder) throws {
        // SwiGLU can be read in f32 alone.
        for precision in form.layout == .gated ? [.f32] : Precision.allCases {
            let device = try TestDevice.backend(order, precision: precision, memoryLimit: 256 << 20)
            for kinds in [[], [1, 2]] {
                let product = Product(form: form, kinds: kinds)
                let want = product(device).map(\.bitPattern)
                #expect(product(device, placement: .host).map(\.bitPattern) == want)
            }
            #expect(device.device.pinnedBytes > 0 && device.failure == nil)
        }
    }

    @Test("rows without an adapter have the same bytes as without adapters")
    func otherRows() throws {
        let device = try TestDevice.backend()
        let form = Form.all[1]
        let plain = Product(form: form, kinds: [])(device)
        let changed = Product(form: form, kinds: [1, 1])(device)
        let count = 5 * form.outputs
        #expect(plain.prefix(count).map(\.bitPattern) == changed.prefix(count).map(\.bitPattern))
        #expect(plain.dropFirst(count).first != changed.dropFirst(count).first)
    }
}
