// Part of Inkstone. Licence: see LICENSE.

/// An error of reading, writing, transforming or comparing images.
public struct ImagingError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The coarse reason; switch on this.
    public enum Code: String, Sendable {
        /// The bytes are not an image, or an image of an unsupported kind.
        case unsupported
        /// The file ends before its image data does.
        case truncated
        /// The file is inconsistent or violates its format.
        case corrupt
        /// The image is larger than the caller or the format allows.
        case tooLarge
        /// A size, a rectangle or a setting is invalid.
        case invalidArgument
        /// The text does not fit into the file's metadata.
        case metadataTooLarge
        /// An encoder failed on a valid image.
        case encodingFailed
        /// A file or the folder for it does not exist.
        case notFound
        /// The folder or file may not be written or read.
        case permissionDenied
        /// No space is left on the device.
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

    /// Creates an error; newlines in a library's message become spaces.
    public init(_ code: Code, _ message: String, remedy: String? = nil) {
        self.code = code
        self.message = String(message.map { $0.isNewline ? " " : $0 })
        self.remedy = remedy
    }

    /// The message followed by the remedy.
    public var description: String {
        [message, remedy].compactMap(\.self).joined(separator: " ")
    }
}
