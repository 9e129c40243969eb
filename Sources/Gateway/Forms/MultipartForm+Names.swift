// Part of Inkstone. Licence: see LICENSE.

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
}
