// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Foundation
import LoadTesting

/// The file of the option `--peaks`.
enum PeaksFile {
    /// Reads the peaks of a device.
    static func read(_ path: String) throws -> BenchmarkPeaks {
        guard let data = try? Data(contentsOf: URL(filePath: path)) else {
            throw ValidationError("--peaks: there is no readable file '\(path)'.")
        }
        guard let peaks = BenchmarkPeaks(json: data) else {
            throw ValidationError(
                "--peaks: '\(path)' has no peak_gops; write it with 'inkstone benchmark kernels --json', and"
                    + " --device vulkan for a GPU.")
        }
        return peaks
    }

    /// Reads them for the audit of a table, which depends on their precision.
    static func device(_ path: String) throws -> DevicePeaks {
        guard let device = DevicePeaks(try read(path)) else {
            throw ValidationError(
                "--peaks: '\(path)' names no precision among f32, bf16, f16-scaled and int8; write it with"
                    + " 'inkstone benchmark kernels --json'.")
        }
        return device
    }
}
