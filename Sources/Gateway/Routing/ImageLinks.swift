// Part of Inkstone. Licence: see LICENSE.

import Foundation
import HTTPTypes
import Imaging
import Service

/// Makes addresses that open without the header of a key, for `<img>` and downloads, and admits requests by them.
///
/// Where the service requires no keys, addresses carry nothing.
struct ImageLinks: Sendable {
    let signer: LinkSigner
    let keys: KeyStore?
    /// Seconds for which an address opens.
    let seconds: Int

    /// Unix seconds.
    private var now: Int { Int(Date().timeIntervalSince1970) }

    private func permit(_ resource: String, for key: APIKey) -> LinkSigner.Permit {
        signer.permit(resource, key: key.id, expires: now + seconds)
    }

    /// The path and query of an image of a job, for the client with this key.
    func address(of image: ImageName, quality: Int? = nil, for key: APIKey?) -> String {
        let resource = image.path + (quality.map { "?quality=\($0)" } ?? "")
        guard let key else { return resource }
        return SignedURL.address(of: resource, permit(resource, for: key))
    }

    /// The path of a file in Gradio's dialect, for the client with this key.
    func filePath(_ path: String, for key: APIKey?) -> String {
        guard let key else { return path }
        return SignedURL.path(
            ofFile: path, permit(SignedURL.resource(ofFile: path), for: key))
    }

    /// The admission of a request by the permit in its address.
    ///
    /// It is that of the key that the address was made for, as the key is now.
    ///
    /// - Returns: `nil` if the address carries none.
    /// - Throws: `APIError` 403 for an address that was changed, or whose key was revoked, 410 for one that has
    ///   ended, 503 while the keys cannot be read.
    func admission(of address: SignedURL) throws(APIError) -> GatewayContext.Admission? {
        guard let permit = address.permit else { return nil }
        guard signer.made(permit, for: address.resource) else { throw .linkChanged }
        guard now < permit.expires else { throw .linkExpired }
        switch keys?.admission(ofKey: permit.key) ?? .open {
        case .open: return .open
        case .key(let key): return .key(key)
        case .missing, .unknown: throw .linkRevoked
        case .unavailable: throw .keysUnreadable
        }
    }
}

extension APIError {
    /// The address is not one that this service made.
    fileprivate static let linkChanged = APIError(
        .forbidden, type: "permission_error", code: "invalid_signature",
        "This link was changed, or is of another service: open it exactly as it was in the answer, or ask for"
            + " the image again.")

    /// The address has ended.
    fileprivate static let linkExpired = APIError(
        .gone, code: "link_expired",
        "This link has expired; ask for the job again, whose answer has a new one.")

    /// The key that the address was made for was revoked.
    fileprivate static let linkRevoked = APIError(
        .forbidden, type: "permission_error", code: "key_revoked",
        "The key that this link was made for was revoked; use a link that was made for another key."
    )
}

/// The name of an image of a job as a file of some format: `JOB-INDEX.FORMAT`.
struct ImageName: Sendable, Equatable {
    var job: String
    var index: Int
    var format: ImageFormat

    init(job: String, index: Int, format: ImageFormat) {
        (self.job, self.index, self.format) = (job, index, format)
    }

    /// Parses the last component of a path; returns `nil` if it does not have this form.
    init?(_ name: String) {
        guard let dot = name.lastIndex(of: "."), let dash = name[..<dot].lastIndex(of: "-"),
            let format = ImageFormat(fileExtension: String(name[name.index(after: dot)...])),
            let index = Int(name[name.index(after: dash)..<dot])
        else { return nil }
        self.init(job: String(name[..<dash]), index: index, format: format)
    }

    /// The path of the image.
    var path: String { "/v1/images/files/\(job)-\(index).\(format.rawValue)" }
}
