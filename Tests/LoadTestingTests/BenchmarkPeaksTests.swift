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
        #expect(read?.precision == "int8")
        let device = read.flatMap(DevicePeaks.init)
        #expect(device?.precision == "INT8" && device?.bytesPerWeight == 1)
    }

    @Test("those of a processor have neither")
    func processor() {
        let read = peaks(#"{"peak_gops": 500.5, "peaks_gops": {"f32": 500.5}, "precision": "f32"}"#)
        #expect(read?.operations == 500.5e9 && read?.name == nil && read?.bandwidth == nil)
    }

    @Test("the audit of a table takes them in place of a known device")
    func audit() throws {
        func report(_ precision: String, gops: Double, gbps: Double? = nil) throws -> AuditReport {
            let bandwidth = gbps.map { #", "bandwidth_gbps": \#($0)"# } ?? ""
            let read = try #require(
                peaks(
                    #"{"gpu": {"name": "Card"}, "peak_gops": \#(gops), "precision": "\#(precision)"\#(bandwidth)}"#
                ))
            var audit = TableAudit(try PublishedTable(contentsOf: TableAuditTests.file))
            audit.device = DevicePeaks(read)
            #expect(audit.device != nil)
            audit.size = (512, 512)
            return audit.report(subject: "published")
        }
        func verdict(_ report: AuditReport, _ id: CheckID) throws -> [Verdict] {
            try #require(report[id]).findings.map(\.verdict)
        }
        let small = try report("int8", gops: 100_000)
        #expect(try verdict(small, .a11).contains(.fail))
        #expect(try #require(small[.a11]).findings[0].text.contains(" Card in INT8"))
        let large = try report("int8", gops: 100_000_000)
        #expect(try !verdict(large, .a11).contains(.fail))
        #expect(try verdict(large, .a12) == [.pass])
        // The table's fastest image has eight steps in 1.832 s: 6.2 GB of weights in int8 are read 8 times at 27 GB/s.
        #expect(try verdict(report("int8", gops: 100_000_000, gbps: 26), .a12) == [.fail])
        #expect(try verdict(report("int8", gops: 100_000_000, gbps: 28), .a12) == [.pass])
        #expect(try verdict(report("f16-scaled", gops: 100_000_000, gbps: 28), .a12) == [.fail])
        #expect(DevicePeaks(try #require(peaks(#"{"peak_gops": 5}"#))) == nil)
    }

    @Test(
        "other files, and reports without a peak, are refused",
        arguments: ["", "[]", "{}", #"{"peak_gops": 0}"#, #"{"peak_gops": "many"}"#])
    func refused(json: String) { #expect(peaks(json) == nil) }
}
