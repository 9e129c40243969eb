// Part of Inkstone. Licence: see LICENSE.

import CCrypto

/// SHA-256 of bytes that are all in memory.
package enum SHA256 {
    /// Bytes of a digest.
    package static let byteCount = 32

    /// Returns the digest of `bytes`.
    package static func digest(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
            let status = EVP_Digest(
                bytes.baseAddress, bytes.count, buffer.baseAddress, nil,
                HashFunction.sha256.algorithm, nil)
            precondition(status == 1, "libcrypto failed to hash \(bytes.count) bytes")
            count = byteCount
        }
    }

    /// Returns the digest of `bytes`.
    package static func digest(_ bytes: [UInt8]) -> [UInt8] {
        bytes.withUnsafeBytes { digest($0) }
    }

    /// Returns the digest of `bytes` as 64 hexadecimal digits.
    package static func hexadecimal(_ bytes: [UInt8]) -> String { digest(bytes).hexadecimal }

    /// Returns the keyed digest HMAC-SHA-256 of `bytes`.
    ///
    /// - Source: RFC 2104; checked with the vectors of RFC 4231.
    package static func authenticationCode(_ bytes: [UInt8], key: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
            let result = key.withUnsafeBytes { key in
                HMAC(
                    HashFunction.sha256.algorithm, key.baseAddress, Int32(key.count), bytes,
                    bytes.count, buffer.baseAddress, nil)
            }
            precondition(result != nil, "libcrypto failed to authenticate \(bytes.count) bytes")
            count = byteCount
        }
    }
}
