// Part of Inkstone. Licence: see LICENSE.

import Tensors
import Testing

/// The speed of the multiply-adds is measured on all threads at once.
@Suite("Peak performance")
struct PeakTests {
    /// ThreadSanitizer reports threads that write more than their own result.
    @Test("is measured on one thread and on several", arguments: [1, 2, 4])
    func threads(_ threads: Int) throws {
        let backend = try CPUBackend(precision: .f32, threads: threads)
        #expect(backend.threads == threads)
        for _ in 0..<3 { #expect(backend.measurePeak(precision: .f32, seconds: 0) > 0) }
    }
}
