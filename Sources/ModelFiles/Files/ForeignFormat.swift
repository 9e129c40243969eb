// Part of Inkstone. Licence: see LICENSE.

/// Formats that are often mistaken for safetensors, recognised by first bytes or name.
enum ForeignFormat: String {
    case gguf = "a GGUF file"
    case pickle = "a PyTorch pickle"
    case lfsPointer = "a Git LFS pointer, not the file itself"
    case webPage = "a web page"
    case json = "a JSON text"

    /// Recognises a file by its first bytes.
    init?(_ bytes: UnsafeRawBufferPointer) {
        func begins(_ text: String) -> Bool { bytes.starts(with: text.utf8) }
        if begins("GGUF") {
            self = .gguf
        } else if begins("PK\u{3}\u{4}") || bytes.starts(with: [0x80, 0x02]) {
            self = .pickle
        } else if begins("version https://git-lfs") {
            self = .lfsPointer
        } else if begins("<!DOCTYPE") || begins("<!doctype") || begins("<html") {
            self = .webPage
        } else if begins("{") {
            self = .json
        } else {
            return nil
        }
    }

    /// Recognises a file by its name.
    init?(fileName: String) {
        let name = fileName.lowercased()
        if name.hasSuffix(".gguf") {
            self = .gguf
        } else if [".ckpt", ".pt", ".pth", ".bin"].contains(where: { name.hasSuffix($0) }) {
            self = .pickle
        } else {
            return nil
        }
    }

    /// The error for a file of this format in place of a safetensors file.
    func error(_ name: String) -> CheckpointError {
        let remedy =
            switch self {
            case .gguf, .pickle:
                "Use a model folder in the diffusers layout with safetensors files."
            case .lfsPointer: "Fetch the file with 'git lfs pull'."
            case .webPage, .json: "Download the file again."
            }
        return CheckpointError(
            code: .unsupported, message: "\(name) is \(rawValue), expected a safetensors file.",
            remedy: remedy)
    }
}
