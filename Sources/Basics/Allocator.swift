// Part of Inkstone. Licence: see LICENSE.

#if canImport(Glibc)
    import Glibc
#endif

/// The C library's allocator.
package enum Allocator {
    /// Makes glibc return the memory of requests to the system when they have ended.
    ///
    /// By default it has up to eight arenas for each processor, and keeps ever larger blocks in them after it
    /// has freed some: a server that answers requests of changing sizes holds several times what it uses.
    /// Here there are two arenas, and blocks from 128 KiB are mappings of their own. A setting in the
    /// environment (`MALLOC_ARENA_MAX`, `MALLOC_MMAP_THRESHOLD_`) prevails. To be called before threads start.
    package static func limitUnusedMemory() {
        #if canImport(Glibc)
            // Options of <malloc.h>, which the Swift module lacks, as it lacks the function.
            for (name, option, value) in [
                ("MALLOC_ARENA_MAX", -8, 2), ("MALLOC_MMAP_THRESHOLD_", -3, 128 << 10),
            ] as [(String, Int32, Int32)] where getenv(name) == nil {
                _ = setOption?(option, value)
            }
        #endif
    }

    #if canImport(Glibc)
        private typealias SetOption = @convention(c) (Int32, Int32) -> Int32

        private static let setOption = dlsym(nil, "mallopt")
            .map { unsafeBitCast($0, to: SetOption.self) }
    #endif
}
