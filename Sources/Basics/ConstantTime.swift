// Part of Inkstone. Licence: see LICENSE.

import CCrypto

/// Returns whether two secrets are equal, in a time that depends on their lengths only.
package func isEqualInConstantTime(_ first: [UInt8], _ second: [UInt8]) -> Bool {
    first.count == second.count && CRYPTO_memcmp(first, second, first.count) == 0
}
