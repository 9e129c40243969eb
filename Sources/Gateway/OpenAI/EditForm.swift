// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes
import Imaging

/// The form of an edit: image and mask in any of the ways in which clients send them, and the other fields.
///
/// Either is a file, or text in base64 with or without the head of a data URL; its name may end with `[]` or an index.
struct EditForm {
    /// An image file, as the form has it.
    struct File {
        /// Name of the part.
        let field: String
        private let bytes: ArraySlice<UInt8>
        private let isText: Bool

        /// The file of a part; `nil` for text without content, and for an input without a file, which browsers send with an
        /// empty name.
        ///
        /// - Throws: `APIError` for a named file without content.
        fileprivate init?(_ part: MultipartForm.Part) throws(APIError) {
            field = part.name
            bytes = part.bytes
            isText = part.fileName == nil
            guard bytes.allSatisfy({ $0 == 0x20 || (9...13).contains($0) }) else { return }
            guard let name = part.fileName, !name.isEmpty else { return nil }
            throw .invalid(field, "\(field) must be an image file, got an empty file.")
        }

        /// Decodes the file.
        ///
        /// - Throws: `APIError` that names the field.
        func decoded(by reader: ImageReader) async throws(APIError) -> DecodedImage {
            guard isText else { return try await reader.image(Array(bytes), field: field) }
            let text = String(decoding: bytes, as: UTF8.self).trimming(" \t\r\n")
            return try await reader.image(base64: text, field: field)
        }
    }

    private static let images: Set = ["image", "images"]
    private static let masks: Set = ["mask", "mask_image"]

    /// The image to start from.
    let image: File
    /// The mask, if there is one.
    let mask: File?
    /// The fields that are neither.
    let fields: [String: String]

    /// Finds the files of a form.
    ///
    /// - Throws: `APIError` for no image, for several images or masks, and for files under other names.
    init(_ form: MultipartForm) throws(APIError) {
        var (images, masks): ([File], [File]) = ([], [])
        for part in form.parts {
            if Self.images.contains(part.baseName) {
                if let file = try File(part) { images.append(file) }
            } else if Self.masks.contains(part.baseName) {
                if let file = try File(part) { masks.append(file) }
            } else if part.fileName != nil, try File(part) != nil {
                guard part.baseName != "markup" else {
                    throw UnsupportedField("markup", "use mask").refusal("markup")
                }
                throw .invalid(
                    part.name,
                    "\(part.name) is not a file of this request: send the image as image, and the mask as mask."
                )
            }
        }
        guard let image = images.first else {
            throw APIError(
                .badRequest, code: "missing_required_parameter", parameter: "image",
                "image is required: a PNG, JPEG or WebP file.")
        }
        guard images.count == 1 else {
            throw .invalid(
                "image",
                "image must be one file: this model starts from one image, got \(images.count).")
        }
        guard masks.count <= 1 else {
            throw .invalid(masks[1].field, "mask must be one file, got \(masks.count).")
        }
        self.image = image
        mask = masks.first
        fields = form.fields.filter {
            !MultipartForm.imageNames.contains(MultipartForm.baseName($0.key))
        }
    }

    /// Whether the mask is white where the image is generated again, rather than transparent.
    var isMaskWhite: Bool { mask.map { MultipartForm.baseName($0.field) == "mask_image" } ?? false }
}
