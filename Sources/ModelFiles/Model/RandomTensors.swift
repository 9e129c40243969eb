// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation
import Tensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

extension TensorStore {
    /// Deterministic bf16 tensors of noise, for benchmarks of a model without its weights.
    ///
    /// They use almost no memory: each tensor maps the same few megabytes repeatedly, from an offset
    /// that depends on its name. Matrices are scaled by their depth, so that activations stay finite;
    /// weights of norms are near 1, biases near 0.
    ///
    /// - Throws: `CheckpointError` of code `writeFailed` if there is no space for a few megabytes.
    package static func random(_ specs: [TensorSpec]) throws(CheckpointError) -> TensorStore {
        var pools: [Noise: NoisePool] = [:]
        var tensors: [String: StoredTensor] = [:]
        for spec in specs {
            let noise = Noise(spec)
            let pool: NoisePool
            if let known = pools[noise] {
                pool = known
            } else {
                pool = try NoisePool(noise)
                pools[noise] = pool
            }
            let region = try pool.region(
                bytes: spec.shape.reduce(2, *), offset: hash(of: spec.name))
            tensors[spec.name] = StoredTensor(
                name: spec.name, dtype: .bf16, shape: spec.shape, bytes: region.bytes,
                owner: region)
        }
        return TensorStore(
            folder: FileManager.default.temporaryDirectory, tensors: tensors)
    }
}

/// The distribution of a tensor's numbers.
private struct Noise: Hashable {
    var mean: Float
    var deviation: Float

    init(_ spec: TensorSpec) {
        let isMatrix = spec.shape.count >= 2 && !spec.name.contains("pad_token")
        let depth = spec.shape.dropFirst().reduce(1, *)
        mean = isMatrix || spec.name.hasSuffix("bias") || spec.name.contains("pad_token") ? 0 : 1
        deviation = isMatrix ? 1 / Float(max(1, depth)).squareRoot() : 0.02
    }
}

/// A few megabytes of noise in an unnamed file.
private final class NoisePool {
    private static let bytes = 8 << 20
    private let descriptor: Int32

    init(_ noise: Noise) throws(CheckpointError) {
        let path = FileManager.default.temporaryDirectory.appending(
            path: ".inkstone-noise-\(UInt64.random(in: 0 ... .max))")
        descriptor = open(path.path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.failure }
        unlink(path.path)
        guard ftruncate(descriptor, off_t(Self.bytes)) == 0,
            let start = mmap(
                nil, Self.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0),
            start != MAP_FAILED
        else { throw Self.failure }
        defer { munmap(start, Self.bytes) }
        let numbers = start.assumingMemoryBound(to: UInt16.self)
        var state = UInt64(noise.deviation.bitPattern) << 32 | UInt64(noise.mean.bitPattern)
        for index in 0..<(Self.bytes / 2) {
            // SplitMix64; the sum of its four quarters approximates a normal distribution.
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            z ^= z >> 31
            let sum = Int(z & 0xffff) + Int(z >> 16 & 0xffff) + Int(z >> 32 & 0xffff) + Int(z >> 48)
            let normal = Float(sum - 131_070) / 37_837
            let number = noise.mean + noise.deviation * normal
            // Rounded to nearest: truncation would make norms smaller than 1 on average.
            numbers[index] = UInt16(truncatingIfNeeded: (number.bitPattern &+ 0x8000) >> 16)
        }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    /// Maps `bytes` of the repeated pool, from a page that `offset` selects.
    func region(bytes: Int, offset: UInt64) throws(CheckpointError) -> NoiseRegion {
        let page = PackedTable.page
        let length = PackedTable.roundUp(max(1, bytes), to: page)
        guard
            let start = mmap(
                nil, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), start != MAP_FAILED
        else { throw Self.failure }
        let region = NoiseRegion(start, bytes: bytes, length: length)
        var done = 0
        var from = Int(offset % UInt64(Self.bytes / page)) * page
        while done < length {
            let count = min(length - done, Self.bytes - from)
            guard
                mmap(
                    start + done, count, PROT_READ, MAP_SHARED | MAP_FIXED, descriptor,
                    off_t(from)) != MAP_FAILED
            else { throw Self.failure }
            done += count
            from = 0
        }
        return region
    }

    private static var failure: CheckpointError {
        CheckpointError(
            code: .writeFailed,
            message: "no space for random weights in"
                + " \(FileManager.default.temporaryDirectory.path.quoted):"
                + " \(String(cString: strerror(errno))).")
    }
}

/// The mapping of a tensor of noise.
private final class NoiseRegion: @unchecked Sendable {
    // Unchecked: never written, and valid until `deinit`.
    let bytes: UnsafeRawBufferPointer
    private let start: UnsafeMutableRawPointer
    private let length: Int

    init(_ start: UnsafeMutableRawPointer, bytes: Int, length: Int) {
        self.start = start
        self.length = length
        self.bytes = UnsafeRawBufferPointer(start: start, count: bytes)
    }

    deinit { munmap(start, length) }
}
