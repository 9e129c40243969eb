// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Tensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Embeds times: a sinusoid, cosines first, then two linear layers with SiLU between them.
struct TimeEmbedding<Device: Backend>: Sendable {
    private let device: Device
    private let timeScale: Float
    private let first: Linear<Device>
    private let second: Linear<Device>

    init(
        _ spec: TransformerSpec, config: TransformerConfig, loader: WeightLoader<Device>
    ) throws {
        device = loader.device
        timeScale = Float(config.timeScale)
        first = try loader.linear(spec.timeIn)
        second = try loader.linear(spec.timeOut)
    }

    /// - Shapes: `[times]` to `[times, conditioningWidth]`.
    func callAsFunction(
        _ times: [Float], _ adapters: AdapterBatch<Device> = AdapterBatch()
    ) -> Device.Values {
        let half = TransformerSpec.timeWaves / 2
        let rows = Segments(lengths: [times.count])
        var waves: [Float] = []
        for time in times {
            let angles = (0..<half).map { index in
                time * timeScale * expf(-logf(10000) * Float(index) / Float(half))
            }
            waves += angles.map(cosf)
            waves += angles.map(sinf)
        }
        let input = device.upload(waves, rows: times.count, columns: 2 * half)
        let hidden = first(device.operand(input, precision: .f32), rows, adapters)
        device.silu(hidden)
        return second(device.operand(hidden, precision: .f32), rows, adapters)
    }
}
