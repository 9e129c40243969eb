// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation

/// Reads and writes image files; writes are atomic.
public enum ImageFile {
    /// Reads and decodes an image file.
    ///
    /// - Throws: `ImagingError` with `notFound`, `permissionDenied`, `tooLarge`, or what
    ///   ``ImageDecoder/decode(_:limits:)`` throws.
    public static func read(
        from path: String,
        limits: ImageLimits = .standard
    ) throws(ImagingError) -> DecodedImage {
        try ImageDecoder.decode(
            readBytes(from: path, maximumBytes: limits.maximumFileBytes),
            limits: limits
        )
    }

    /// Reads a file of at most `maximumBytes` bytes.
    ///
    /// - Throws: `ImagingError` with `notFound`, `permissionDenied`, `tooLarge`, `inputOutput`.
    public static func readBytes(
        from path: String,
        maximumBytes: Int
    ) throws(ImagingError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(errno, doing: "read", path) }
        defer { close(descriptor) }
        var bytes = [UInt8]()
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Foundation.read(descriptor, &buffer, buffer.count)
            if count == 0 { return bytes }
            if count < 0 {
                if errno == EINTR { continue }
                throw failure(errno, doing: "read", path)
            }
            bytes.append(contentsOf: buffer[..<count])
            // Counted while reading: the size of a pipe or a growing file is not known in advance.
            guard bytes.count <= maximumBytes else {
                throw ImagingError(
                    .tooLarge,
                    "'\(path)' has more than the \(maximumBytes) bytes allowed.",
                    remedy: "Choose a smaller file."
                )
            }
        }
    }

    /// Writes a file atomically: readers see the old or the complete new one, even after a crash.
    ///
    /// The bytes are written to a temporary file in the same folder, synchronized and renamed.
    /// Symbolic links are followed, and an existing file keeps its permissions. A pipe or a device
    /// is written directly.
    ///
    /// - Parameters:
    ///   - bytes: The content.
    ///   - path: The file's path.
    ///   - permissions: Permissions of a new file, which the process's mask restricts.
    /// - Throws: `ImagingError` with `notFound` for a missing folder, `permissionDenied`,
    ///   `diskFull`, `invalidArgument` for a path that is a folder, `inputOutput`. The temporary
    ///   file is removed.
    public static func writeAtomically(
        _ bytes: [UInt8], to path: String, permissions: UInt32 = 0o666
    ) throws(ImagingError) {
        var target = path
        var mode: mode_t?
        var info = stat()
        if stat(path, &info) == 0 {
            switch info.st_mode & S_IFMT {
            case S_IFREG:
                mode = info.st_mode & 0o777
                target = resolved(path)
            case S_IFDIR:
                throw ImagingError(
                    .invalidArgument,
                    "Cannot write '\(path)': expected a file, found a folder.",
                    remedy: "Add a file name."
                )
            default:
                return try writeDirectly(bytes, to: path)
            }
        }
        let file = try AtomicFile<ImagingError>(
            target, in: folder(of: target), prefix: ".inkstone-", permissions: mode_t(permissions)
        ) { failure($0, doing: "write", path) }
        if let mode { try file.setPermissions(mode) }
        try bytes.withUnsafeBufferPointer { buffer throws(ImagingError) in
            try file.write(UnsafeRawBufferPointer(buffer), at: 0)
        }
        try file.commit()
    }

    private static func writeDirectly(_ bytes: [UInt8], to path: String) throws(ImagingError) {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(errno, doing: "write", path) }
        defer { close(descriptor) }
        try writeAll(bytes, to: descriptor, path: path)
    }

    private static func writeAll(
        _ bytes: [UInt8],
        to descriptor: Int32,
        path: String
    ) throws(ImagingError) {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                Foundation.write(
                    descriptor,
                    buffer.baseAddress?.advanced(by: done),
                    buffer.count - done
                )
            }
            if count < 0 {
                if errno == EINTR { continue }
                throw failure(errno, doing: "write", path)
            }
            done += count
        }
    }

    /// The path with symbolic links resolved; the path itself if they cannot be.
    private static func resolved(_ path: String) -> String {
        guard let real = realpath(path, nil) else { return path }
        defer { free(real) }
        return String(cString: real)
    }

    /// The folder of a path.
    package static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Converts an `errno` value to an error with a remedy.
    package static func failure(
        _ number: Int32,
        doing verb: String,
        _ path: String
    ) -> ImagingError {
        let folder = folder(of: path)
        switch number {
        case ENOENT, ENOTDIR:
            return verb == "write"
                ? ImagingError(
                    .notFound,
                    "Cannot write '\(path)': expected a folder '\(folder)', found none.",
                    remedy: "Create the folder or choose another."
                )
                : ImagingError(
                    .notFound,
                    "Cannot read '\(path)': expected a file, found none.",
                    remedy: "Check the path."
                )
        case EACCES, EPERM, EROFS:
            return ImagingError(
                .permissionDenied,
                verb == "write"
                    ? "Cannot write '\(path)': the folder '\(folder)' is not writable."
                    : "Cannot read '\(path)': it is not readable.",
                remedy: "Change its permissions or choose another."
            )
        case ENOSPC, EDQUOT:
            return ImagingError(
                .diskFull,
                "Cannot write '\(path)': no space is left in '\(folder)'.",
                remedy: "Free some space or choose another folder."
            )
        default:
            return ImagingError(
                .inputOutput,
                "Cannot \(verb) '\(path)': \(String(cString: strerror(number))).",
                remedy: "Check the path and the device."
            )
        }
    }
}
