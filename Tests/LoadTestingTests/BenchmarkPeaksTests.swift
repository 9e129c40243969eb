// Part of Inkstone. Licence: see LICENSE.

import Foundation
import LoadTesting
import Testing

/// Peaks in the output of `inkstone benchmark kernels --json`.
@Suite struct BenchmarkPeaksTests {
    private func peaks(_ json: String) -> BenchmarkPeaks? { BenchmarkPeaks(json: Data(json.utf8)) }

    @Test("those of a GPU have its name and bandwidth")
    func gpu() {
        let read = peaks(
            """
            {"bandwidth_gbps": 1008, "gpu": {"name": "NVIDIA GeForce RTX 4090", "driver": "NVIDIA 1"},
             "peak_gops": 660000, "peaks_gops": {"f32": 80000, "int8": 660000}, "precision": "int8"}
            """)
        #expect(read?.name == "NVIDIA GeForce RTX 4090")
        #expect(read?.operations == 660e12 && read?.bandwidth == 1008e9)
    }

    @Test("those of a processor have neither")
    func processor() {
        let read = peaks(#"{"peak_gops": 500.5, "peaks_gops": {"f32": 500.5}, "precision": "f32"}"#)
        #expect(read?.operations == 500.5e9 && read?.name == nil && read?.bandwidth == nil)
    }

    @Test(
        "other files, and reports without a peak, are refused",
        arguments: ["", "[]", "{}", #"{"peak_gops": 0}"#, #"{"peak_gops": "many"}"#])
    func refused(json: String) { #expect(peaks(json) == nil) }
}
