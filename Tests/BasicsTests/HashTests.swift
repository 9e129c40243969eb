// Part of Inkstone. Licence: see LICENSE.

import Basics
import Testing

@Suite struct HashTests {
    /// Digests that `sha256sum` prints.
    @Test(
        "SHA-256 of known texts",
        arguments: [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
            ),
        ])
    func sha256(text: String, expected: String) {
        #expect(SHA256.hexadecimal(Array(text.utf8)) == expected)
        #expect(SHA256.digest(Array(text.utf8)).count == SHA256.byteCount)
        #expect(Self.inPieces(.sha256, Array(text.utf8), of: 7) == expected)
    }

    @Test("SHA-1 of known texts") func sha1() {
        #expect(
            Self.inPieces(.sha1, Array("abc".utf8), of: 2)
                == "a9993e364706816aba3e25717850c26c9cd0d89d")
        // An empty Git blob.
        #expect(
            Self.inPieces(.sha1, Array("blob 0\0".utf8), of: 100)
                == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391")
    }

    @Test(
        "any division into pieces gives the digest of the whole", arguments: [1, 63, 64, 65, 999])
    func pieces(size: Int) {
        let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 37) }
        #expect(Self.inPieces(.sha256, bytes, of: size) == SHA256.hexadecimal(bytes))
    }

    @Test("a digest may be read before the end") func early() {
        var hash = IncrementalHash(.sha256)
        #expect(hash.digest == SHA256.digest([]))
        Array("ab".utf8).withUnsafeBytes { hash.update($0) }
        #expect(hash.digest == SHA256.digest(Array("ab".utf8)))
        Array("c".utf8).withUnsafeBytes { hash.update($0) }
        #expect(hash.digest == SHA256.digest(Array("abc".utf8)))
    }

    /// Test cases 1, 2 and 6 of RFC 4231.
    @Test(
        "HMAC-SHA-256 of RFC 4231",
        arguments: [
            (
                [UInt8](repeating: 0x0b, count: 20), "Hi There",
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
            ),
            (
                Array("Jefe".utf8), "what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
            ),
            (
                [UInt8](repeating: 0xaa, count: 131),
                "Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
            ),
        ])
    func authentication(key: [UInt8], text: String, expected: String) {
        #expect(SHA256.authenticationCode(Array(text.utf8), key: key).hexadecimal == expected)
    }

    @Test("secrets are compared whole") func secrets() {
        #expect(isEqualInConstantTime([], []))
        #expect(isEqualInConstantTime([1, 2, 3], [1, 2, 3]))
        #expect(!isEqualInConstantTime([1, 2, 3], [1, 2, 4]))
        #expect(!isEqualInConstantTime([1, 2, 3], [1, 2]))
    }

    private static func inPieces(_ function: HashFunction, _ bytes: [UInt8], of size: Int) -> String
    {
        var hash = IncrementalHash(function)
        for start in stride(from: 0, to: bytes.count, by: size) {
            bytes[start..<min(start + size, bytes.count)].withUnsafeBytes { hash.update($0) }
        }
        return hash.digest.hexadecimal
    }
}
