// Part of Inkstone. Licence: see LICENSE.

import Basics
public import Foundation
import Imaging

/// Signs addresses that open without a key, as object stores do: with a time at which they end, and the
/// id of the key that they were made for.
///
/// The signature is HMAC-SHA-256 with a secret that all gateways of a service share.
public struct LinkSigner: Sendable {
    /// The secret's file in a data folder.
    static let fileName = "link-secret"
    /// Bytes of a secret.
    package static let secretBytes = 32

    /// The part of an address that permits to open it.
    package struct Permit: Sendable, Equatable {
        /// When it ends, in seconds since 1970.
        package var expires: Int
        /// The id of the key that it was made for.
        package var key: String
        /// 64 hexadecimal digits.
        package var signature: String

        package init(expires: Int, key: String, signature: String) {
            self.expires = expires
            self.key = key
            self.signature = signature
        }
    }

    private let secret: [UInt8]

    /// A signer with a secret of 32 bytes.
    package init(secret: [UInt8]) {
        precondition(secret.count == Self.secretBytes, "a secret has \(Self.secretBytes) bytes")
        self.secret = secret
    }

    /// A signer with a secret that was read from elsewhere; `nil` if it does not have 32 bytes.
    package init?(sharedSecret secret: [UInt8]) {
        guard secret.count == Self.secretBytes else { return nil }
        self.init(secret: secret)
    }

    /// A signer with the secret of a data folder, which is made if it is missing.
    ///
    /// - Throws: `KeyError` of code `file`.
    public init(folder: URL) throws {
        let url = folder.appending(path: Self.fileName)
        if let known = try Self.read(url) {
            secret = known
            return
        }
        do {
            try Self.make(Self.randomSecret(), at: url)
        } catch {
            throw KeyError(
                code: .file,
                message: "The secret of links '\(url.path)' cannot be written: \(error)")
        }
        guard let made = try Self.read(url) else {
            throw KeyError(
                code: .file,
                message:
                    "The secret of links '\(url.path)' was removed again by another program; start the server again."
            )
        }
        secret = made
    }

    /// Why the secret of a data folder cannot be used; `nil` if it can, or is not made yet.
    static func failure(in folder: URL) -> String? {
        do {
            _ = try read(folder.appending(path: fileName))
            return nil
        } catch { return "\(error)" }
    }

    /// A signer whose links end with this process.
    public static var temporary: LinkSigner { LinkSigner(secret: randomSecret()) }

    /// A new secret, from the system's cryptographic generator.
    package static func randomSecret() -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<secretBytes).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    }

    /// The secret of a file, or `nil` if there is no file.
    private static func read(_ url: URL) throws -> [UInt8]? {
        guard FileManager.default.fileExists(atPath: url.path) else { return nil }
        guard FileKind.barrier(before: url.path) == nil else {
            throw KeyError(
                code: .denied,
                message:
                    "The secret of links '\(url.path)' may not be read by this user (permission"
                    + " denied); change its permissions, or run this as its owner.")
        }
        guard let data = try? Data(contentsOf: url), data.count == secretBytes else {
            throw KeyError(
                code: .file,
                message: "The secret of links '\(url.path)' cannot be read, or does not have"
                    + " \(secretBytes) bytes; remove it to make a new one, which ends the links that"
                    + " were handed out.")
        }
        return [UInt8](data)
    }

    /// Writes a secret unless another process was first: the file appears complete or not at all.
    private static func make(_ secret: [UInt8], at url: URL) throws {
        let temporary = url.deletingLastPathComponent()
            .appending(path: ".\(fileName)-\(UUID().uuidString)")
        defer { unlink(temporary.path) }
        try ImageFile.writeAtomically(secret, to: temporary.path, permissions: 0o600)
        guard link(temporary.path, url.path) != 0, errno != EEXIST else { return }
        // A file system without hard links.
        guard rename(temporary.path, url.path) != 0 else { return }
        throw ImageFile.failure(errno, doing: "write", url.path)
    }

    // MARK: - Signing

    /// Signs the address of a resource.
    ///
    /// - Parameters:
    ///   - resource: All that the address says about what it opens.
    ///   - key: The id of the key that it is made for.
    ///   - expires: When it ends, in seconds since 1970.
    /// - Returns: what the address has to carry.
    package func permit(_ resource: String, key: String, expires: Int) -> Permit {
        Permit(
            expires: expires, key: key,
            signature: code(resource, key: key, expires: expires).hexadecimal)
    }

    /// Whether a permit was made by this signer for a resource; it may have ended.
    ///
    /// The time does not depend on where a wrong signature differs.
    package func made(_ permit: Permit, for resource: String) -> Bool {
        let expected = code(resource, key: permit.key, expires: permit.expires).hexadecimal
        return isEqualInConstantTime(Array(expected.utf8), Array(permit.signature.utf8))
    }

    private func code(_ resource: String, key: String, expires: Int) -> [UInt8] {
        // Lengths: no two sets of values make the same text.
        let text = "inkstone-link-1\n\(expires)\n\(key.utf8.count)\n\(key)\n\(resource)"
        return SHA256.authenticationCode(Array(text.utf8), key: secret)
    }
}
