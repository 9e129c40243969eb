// Part of Inkstone. Licence: see LICENSE.

/// What went wrong while an image was read, written, changed or compared.
public struct ImagingError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The coarse reason; switch on this.
    public enum Code: String, Sendable {
        /// The bytes are not an image, or one of a kind that is not read here.
        case unsupported
        /// The file ends before its picture does.
        case truncated
        /// The file contradicts itself or its format.
        case corrupt
        /// The picture is larger than the caller or the format allows.
        case tooLarge
        /// A size, a rectangle or a setting makes no sense.
        case invalidArgument
        /// The text does not fit into the file's metadata.
        case metadataTooLarge
        /// An encoder refused a picture that it should have taken.
        case encodingFailed
        /// A file or the folder for it does not exist.
        case notFound
        /// The folder or file may not be written or read.
        case permissionDenied
        /// No room is left on the device.
        case diskFull
        /// Any other failure of reading or writing a file.
        case inputOutput
    }

    /// The coarse reason.
    public let code: Code
    /// One sentence, without a newline: what, where, expected, found.
    public let message: String
    /// What the reader can do, or `nil`.
    public let remedy: String?

    /// Makes an error; newlines that a library's own words bring along become spaces.
    public init(_ code: Code, _ message: String, remedy: String? = nil) {
        self.code = code
        self.message = String(message.map { $0.isNewline ? " " : $0 })
        self.remedy = remedy
    }

    /// The message and, after it, what to do.
    public var description: String {
        [message, remedy].compactMap(\.self).joined(separator: " ")
    }
}
