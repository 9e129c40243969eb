// Part of Inkstone. Licence: see LICENSE.

import ModelFiles

extension MultipartForm {
    /// Names of parts that are images, as files or as text.
    static let imageNames: Set = ["image", "images", "mask", "mask_image"]

    /// The name of a part without the brackets that mark one of several.
    static func baseName(_ name: String) -> String {
        guard name.utf8.last == UInt8(ascii: "]"),
            let start = name.utf8.firstIndex(of: UInt8(ascii: "["))
        else { return name }
        return String(name[..<start])
    }
}

extension MultipartForm.Part {
    /// The name without the brackets that mark one of several.
    var baseName: String { MultipartForm.baseName(name) }

    /// The content as text, in the character set that the header states, or else in the form's.
    func text(_ standard: String?) throws(APIError) -> String {
        let name = charset ?? standard ?? "utf-8"
        guard let known = FormCharset(name: name) else {
            throw MultipartForm.invalid(
                "The character set \(JSONValue.string(name).summary) of the field '\(self.name)' is not known here;"
                    + " send text in UTF-8.")
        }
        guard let text = known.text(bytes) else {
            throw MultipartForm.invalid(
                "The field '\(self.name)' is not text in \(name); send text in UTF-8, and files with a file name."
            )
        }
        return text
    }
}
