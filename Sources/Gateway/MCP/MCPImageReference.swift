// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes
import Imaging
import Service

/// The name of a finished image in answers and arguments: the id of its job, a stroke and its index.
///
/// A language model cannot repeat the bytes of an image that it was shown, but it can repeat this.
struct MCPImageReference {
    let job: String
    let index: Int

    init(job: String, index: Int) {
        (self.job, self.index) = (job, index)
    }

    /// Reads a name such as `0197a6b2/0`; `nil` for any other text, such as a file in base64.
    init?(_ text: String) {
        let parts = text.utf8.prefix(256).split(
            separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard text.utf8.count < 256, parts.count == 2, !parts[0].isEmpty,
            parts[0].allSatisfy({ $0 != UInt8(ascii: ":") }),
            let index = Int(String(Substring(parts[1]))), (0...9999).contains(index)
        else { return nil }
        self.init(job: String(Substring(parts[0])), index: index)
    }

    /// The name.
    var text: String { "\(job)/\(index)" }
}

extension ImageReader {
    /// Decodes an image that an argument names or holds: a finished image of this server, or a file in base64.
    ///
    /// - Throws: `APIError` 400 that names the argument, 404 for an image that does not exist for the client.
    func image(
        _ text: String, argument: String, of jobs: any JobQueue, for access: JobAccess
    ) async throws -> DecodedImage {
        guard let reference = MCPImageReference(text) else {
            return try await image(base64: text, field: argument)
        }
        guard let file = try await jobs.image(reference.index, of: reference.job, for: access)
        else {
            throw APIError(
                .notFound, code: "image_not_found", parameter: argument,
                "There is no image \(text), or not yet; take a name from an earlier answer, or send a file in base64."
            )
        }
        return try await image(file, field: argument)
    }
}
