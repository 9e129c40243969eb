// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// Limits what this process may use while it reads an untrusted file; the system ends it beyond.
///
/// - Parameters:
///   - memory: Bytes of memory, files that are mapped for reading not included.
///   - seconds: Seconds of processor time.
func limitResources(memory: UInt, seconds: UInt) {
    for (resource, value) in [(RLIMIT_DATA, memory), (RLIMIT_CPU, seconds)] {
        var limit = rlimit(rlim_cur: rlim_t(value), rlim_max: rlim_t(value))
        #if canImport(Darwin)
            setrlimit(resource, &limit)
        #else
            setrlimit(__rlimit_resource_t(resource.rawValue), &limit)
        #endif
    }
}
