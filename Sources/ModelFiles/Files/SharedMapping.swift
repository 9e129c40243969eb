// Part of Inkstone. Licence: see LICENSE.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A range of a file mapped for reading, with memory shared by all processes.
final class SharedMapping: @unchecked Sendable {
    // Unchecked: the mapping is read-only and neither moves nor ends before `deinit`.

    /// The bytes.
    let bytes: UnsafeRawBufferPointer

    /// Maps `range` of an open file, which must begin at a page boundary; `nil` on failure, with the
    /// reason in `errno`.
    init?(_ descriptor: Int32, _ range: Range<Int>) {
        guard !range.isEmpty,
            let start = mmap(
                nil, range.count, PROT_READ, MAP_SHARED, descriptor, off_t(range.lowerBound)),
            start != MAP_FAILED
        else { return nil }
        bytes = UnsafeRawBufferPointer(start: start, count: range.count)
    }

    deinit {
        if let start = bytes.baseAddress {
            munmap(UnsafeMutableRawPointer(mutating: start), bytes.count)
        }
    }
}
