// Part of Inkstone. Licence: see LICENSE.

import Foundation
import HummingbirdCore
package import Service

/// What a request opens, and the permit that its address carries, if any.
///
/// A permit is in the query, `?expires=SECONDS&key=ID&signature=DIGITS`, or, for clients that build the
/// address from a path alone, as Gradio's do, at the beginning of the path of a file:
/// `/gradio_api/file=signed/SECONDS/ID/DIGITS/PATH`.
package struct SignedURL: Equatable {
    /// The address without the permit, which is what the permit is for.
    package let resource: String
    /// The permit, or `nil` if there is none; one that is incomplete is a permit that was never made.
    package let permit: LinkSigner.Permit?

    private static let names = ["expires", "key", "signature"]
    /// What stands before the path of a file in Gradio's dialect.
    private static let file = "/gradio_api/file="
    /// What stands before a permit in a path.
    private static let head = "signed/"

    /// Reads the address of a request.
    init(_ uri: URI) {
        self.init(path: uri.path, query: uri.query ?? "")
    }

    /// Reads a path and its query, both with percent encoding.
    package init(path: String, query: String) {
        if let signed = Self.signedPath(path) {
            (resource, permit) = signed
            return
        }
        var values: [String: String] = [:]
        var others: [Substring] = []
        for item in query.split(separator: "&") {
            let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            if Self.names.contains(name), values[name] == nil {
                values[name] = parts.count > 1 ? String(parts[1]) : ""
            } else {
                others.append(item)
            }
        }
        resource = others.isEmpty ? path : path + "?" + others.joined(separator: "&")
        permit =
            values.isEmpty
            ? nil
            : Self.permit(
                expires: values["expires"] ?? "", key: values["key"] ?? "",
                signature: values["signature"] ?? "")
    }

    private static func signedPath(_ path: String) -> (String, LinkSigner.Permit)? {
        guard path.hasPrefix(file + head) else { return nil }
        let parts = path.dropFirst(file.count + head.count)
            .split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 4 else { return nil }
        return (file + parts[3], permit(expires: parts[0], key: parts[1], signature: parts[2]))
    }

    private static func permit(
        expires: String, key: String, signature: String
    ) -> LinkSigner.Permit {
        // A time in another notation than the signed one was not signed.
        let seconds = Int(expires).flatMap { String($0) == expires ? $0 : nil }
        return LinkSigner.Permit(
            expires: seconds ?? 0, key: key, signature: seconds == nil ? "" : signature)
    }

    // MARK: - Writing

    /// An address that carries a permit in its query.
    package static func address(of resource: String, _ permit: LinkSigner.Permit) -> String {
        resource + (resource.contains("?") ? "&" : "?")
            + "expires=\(permit.expires)&key=\(permit.key)&signature=\(permit.signature)"
    }

    /// The resource of a file in Gradio's dialect.
    package static func resource(ofFile path: String) -> String { file + path }

    /// The path of a file in Gradio's dialect that carries a permit.
    package static func path(ofFile path: String, _ permit: LinkSigner.Permit) -> String {
        head + "\(permit.expires)/\(permit.key)/\(permit.signature)/\(path)"
    }

    /// The path of a file in Gradio's dialect, without percent encoding and permit, or `nil` if the address is
    /// another one.
    package var filePath: String? {
        let path = resource.prefix { $0 != "?" }
        guard path.hasPrefix(Self.file) else { return nil }
        let raw = String(path.dropFirst(Self.file.count))
        return raw.removingPercentEncoding ?? raw
    }
}
