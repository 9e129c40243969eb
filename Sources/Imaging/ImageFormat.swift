// Part of Inkstone. Licence: see LICENSE.

/// The supported file formats.
public enum ImageFormat: String, Sendable, CaseIterable, Codable {
    /// Portable Network Graphics, lossless.
    case png
    /// JPEG, lossy and without alpha.
    case jpeg
    /// WebP, lossy or lossless.
    case webp

    /// The extension of new files, without the dot.
    public var fileExtension: String {
        switch self {
        case .png: "png"
        case .jpeg: "jpg"
        case .webp: "webp"
        }
    }

    /// The media type for HTTP headers and data URLs.
    public var mimeType: String { "image/\(rawValue)" }

    /// The longest side that the format supports.
    ///
    /// - Units: pixels. PNG's own limit is 2^31 - 1; JPEG's is that of libjpeg-turbo.
    public var maximumSide: Int {
        switch self {
        case .png: Int(Int32.max)
        case .jpeg: 65_500
        case .webp: 16_383
        }
    }

    /// The longest text of generation parameters that a file can hold.
    ///
    /// - Units: UTF-16 code units. JPEG stores them in one segment.
    public var maximumParametersUnits: Int {
        self == .jpeg ? (JPEGEncoder.maximumSegment - ExifBlock.overhead) / 2 : .max
    }

    /// Finds a format by a file extension with or without its dot, in any case.
    public init?(fileExtension: some StringProtocol) {
        var name = fileExtension.lowercased()
        if name.hasPrefix(".") { name.removeFirst() }
        switch name {
        case "png": self = .png
        case "jpg", "jpeg", "jpe", "jfif": self = .jpeg
        case "webp": self = .webp
        default: return nil
        }
    }

    /// Finds a format by the last extension of a path; `nil` if it is absent or unknown.
    public init?(path: some StringProtocol) {
        let name = String(path).split(separator: "/" as Character).last ?? ""
        guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return nil }
        self.init(fileExtension: name[name.index(after: dot)...])
    }

    /// Finds a format by a media type; parameters after `;` are ignored.
    public init?(mimeType: some StringProtocol) {
        let name = mimeType.prefix { $0 != ";" }.lowercased().filter { $0 != " " }
        switch name {
        case "image/png": self = .png
        case "image/jpeg", "image/jpg": self = .jpeg
        case "image/webp": self = .webp
        default: return nil
        }
    }

    /// Finds a format by the first bytes of a file; names and extensions are not trusted.
    ///
    /// - Source: PNG 3rd edition, 5.2; ISO/IEC 10918-1, B.1.1.3; RFC 9649, 2.4.
    public init?(sniffing bytes: some Collection<UInt8>) {
        let head = Array(bytes.prefix(12))
        if head.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) {
            self = .png
        } else if head.starts(with: [0xFF, 0xD8, 0xFF]) {
            self = .jpeg
        } else if head.count == 12, head.starts(with: "RIFF".utf8),
            head.suffix(4).elementsEqual("WEBP".utf8)
        {
            self = .webp
        } else {
            return nil
        }
    }
}
