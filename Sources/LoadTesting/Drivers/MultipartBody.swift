// Part of Inkstone. Licence: see LICENSE.

/// The body of a form with files.
///
/// - Source: RFC 7578.
struct MultipartBody {
    /// A boundary that occurs in no text field; the odds that a file contains it are negligible.
    static let boundary = "imgbench-7f3a1c5e9b2d48606e1f"

    /// Value of `Content-Type`.
    static var type: String { "multipart/form-data; boundary=\(boundary)" }

    private var bytes: [UInt8] = []

    /// Adds a text field; `nil` adds none.
    mutating func add(_ name: String, _ value: String?) {
        guard let value else { return }
        bytes += head(name, "") + Array(value.utf8) + Array("\r\n".utf8)
    }

    /// Adds a PNG file, by default with the name of the field; `nil` adds none.
    mutating func add(_ name: String, file: [UInt8]?, named fileName: String? = nil) {
        guard let file else { return }
        bytes += head(
            name, "; filename=\"\(fileName ?? name + ".png")\"\r\nContent-Type: image/png")
        bytes += file + Array("\r\n".utf8)
    }

    private func head(_ name: String, _ rest: String) -> [UInt8] {
        Array(
            ("--\(Self.boundary)\r\nContent-Disposition: form-data; name=\"\(name)\"\(rest)\r\n\r\n")
                .utf8)
    }

    /// The body with its end.
    var body: [UInt8] { bytes + Array("--\(Self.boundary)--\r\n".utf8) }
}

extension HTTPCall {
    /// A request that sends a form.
    init(path: String, id: String, form: MultipartBody, readsEvents: Bool = false) {
        self.init(path: path, id: id, body: form.body, readsEvents: readsEvents)
        type = MultipartBody.type
    }
}
