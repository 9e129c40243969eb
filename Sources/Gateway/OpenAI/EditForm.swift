// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes
import Imaging
import ModelFiles

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

        /// An image as text.
        init(field: String, text: String) {
            self.field = field
            bytes = Array(text.utf8)[...]
            isText = true
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
    let fields: RequestFields

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
        let texts = try form.texts().filter {
            !MultipartForm.imageNames.contains(MultipartForm.baseName($0.key))
        }
        try self.init(images, masks, RequestFields(form: texts))
    }

    private init(
        _ images: [File], _ masks: [File], _ fields: RequestFields
    ) throws(APIError) {
        guard let image = images.first else {
            throw APIError(
                .badRequest, code: "missing_required_parameter", parameter: "image",
                "image is required: a PNG, JPEG or WebP file.")
        }
        guard images.count == 1 else {
            let name = String(image.field.prefix { $0 != "[" && $0 != "." })
            throw .invalid(
                name, "\(name) must be one image: this model starts from one, got \(images.count).")
        }
        guard masks.count <= 1 else {
            throw .invalid(masks[1].field, "mask must be one file, got \(masks.count).")
        }
        self.image = image
        mask = masks.first
        self.fields = fields
    }

    /// Whether the mask is white where the image is generated again, rather than transparent.
    var isMaskWhite: Bool { mask?.field.hasPrefix("mask_image") ?? false }
}

// MARK: - JSON

extension EditForm {
    /// Finds the images of a JSON object: `images`, an array of objects with `image_url`, or `image`, and `mask`, each
    /// as such an object or as text.
    ///
    /// - Throws: `APIError` for no image, for several images, and for images that are not data URLs.
    init(_ fields: RequestFields) throws(APIError) {
        var (images, masks): ([File], [File]) = ([], [])
        for name in Self.images.sorted() { images += try Self.files(fields, name) }
        for name in Self.masks.sorted() { masks += try Self.files(fields, name) }
        try self.init(images, masks, fields.without(Self.images.union(Self.masks)))
    }

    private static func files(
        _ fields: RequestFields, _ name: String
    ) throws(APIError) -> [File] {
        guard let (_, value) = fields.first(name) else { return [] }
        guard case .array(let entries) = value else {
            return try file(fields, name, value).map { [$0] } ?? []
        }
        var files: [File] = []
        for (index, entry) in entries.enumerated() {
            if let file = try file(fields, "\(name)[\(index)]", entry) { files.append(file) }
        }
        return files
    }

    /// The image in a value; `nil` for an empty text.
    private static func file(
        _ fields: RequestFields, _ name: String, _ value: JSONValue
    ) throws(APIError) -> File? {
        var (name, text) = (name, value)
        // Chat completions have another object within it.
        for _ in 0..<2 {
            guard case .object(let object) = text else { break }
            let part = fields.part(object)
            if part.first("file_id") != nil {
                throw UnsupportedField(
                    "file_id",
                    "this server keeps no files; send the image in image_url as a data URL"
                ).refusal("\(name).file_id")
            }
            guard let (key, inner) = part.first("image_url", "url", "b64_json") else { break }
            (name, text) = ("\(name).\(key)", inner)
        }
        guard case .string(let url) = text else {
            throw fields.wrong(
                name, "an object such as {\"image_url\": \"data:image/png;base64,…\"}", value)
        }
        if url.utf8.prefix(8).contains(UInt8(ascii: ":")), !url.utf8.starts(with: "data:".utf8) {
            throw .invalid(
                name,
                "\(name) must be a data URL such as data:image/png;base64,…: this server fetches nothing from other"
                    + " servers, got \(JSONValue.string(url).summary).")
        }
        return url.isEmpty ? nil : File(field: name, text: url)
    }
}
