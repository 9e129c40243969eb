// Part of Inkstone. Licence: see LICENSE.

import CCrypto

/// A cryptographic hash function that libcrypto computes.
package enum HashFunction: Sendable {
    /// SHA-256.
    case sha256
    /// SHA-1: only where a format prescribes it, as Git does for its objects.
    case sha1

    /// libcrypto's description of the function, which is static.
    var algorithm: OpaquePointer? {
        switch self {
        case .sha256: EVP_sha256()
        case .sha1: EVP_sha1()
        }
    }
}

/// A hash of bytes that arrive in pieces.
package struct IncrementalHash: ~Copyable {
    private let context: OpaquePointer

    /// A hash of no bytes yet.
    package init(_ function: HashFunction) {
        guard let context = EVP_MD_CTX_new(),
            EVP_DigestInit_ex(context, function.algorithm, nil) == 1
        else { preconditionFailure("libcrypto offers no \(function)") }
        self.context = context
    }

    deinit { EVP_MD_CTX_free(context) }

    /// Appends bytes.
    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        let status = EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
        precondition(status == 1, "libcrypto failed to hash \(bytes.count) bytes")
    }

    /// The digest of the bytes appended until now; more may follow.
    package var digest: [UInt8] {
        guard let copy = EVP_MD_CTX_new() else { preconditionFailure("out of memory") }
        defer { EVP_MD_CTX_free(copy) }
        return [UInt8](unsafeUninitializedCapacity: Int(EVP_MAX_MD_SIZE)) { buffer, count in
            var length: UInt32 = 0
            let isDone =
                EVP_MD_CTX_copy_ex(copy, context) == 1
                && EVP_DigestFinal_ex(copy, buffer.baseAddress, &length) == 1
            precondition(isDone, "libcrypto failed to finish a hash")
            count = Int(length)
        }
    }
}
