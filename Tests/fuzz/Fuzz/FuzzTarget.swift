// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Gateway

/// A parser under test, selected by the environment variable `INKSTONE_FUZZ_TARGET`.
///
/// A parser may refuse an input with an error. A trap, an access outside of memory, or an input that takes
/// more than the time limit is a finding.
enum FuzzTarget: String {
    case png, jpeg, webp, exif, infotext
    case safetensors, gguf, lora, manifest
    case json, multipart, header

    /// The one to test.
    static let selected: FuzzTarget = {
        let name = ProcessInfo.processInfo.environment["INKSTONE_FUZZ_TARGET"] ?? ""
        guard let target = FuzzTarget(rawValue: name) else {
            fatalError("INKSTONE_FUZZ_TARGET is '\(name)', expected the name of a target")
        }
        return target
    }()

    /// Parses one input.
    func parse(_ bytes: [UInt8]) {
        switch self {
        case .png: ImageInput.decode(ImageInput.repairingChecksums(of: bytes))
        case .jpeg, .webp: ImageInput.decode(bytes)
        case .exif: ImageInput.decodeExif(bytes)
        case .infotext: ImageInput.parseInfotext(bytes)
        case .safetensors: WeightInput.readSafetensors(bytes)
        case .gguf: WeightInput.readGGUF(bytes)
        case .lora: WeightInput.matchLoRA(bytes)
        case .manifest: WeightInput.readManifest(bytes)
        case .json: RequestInput.readJSON(bytes)
        case .multipart: RequestInput.readForm(bytes)
        case .header: RequestInput.readHeader(bytes)
        }
    }
}

/// Called by libFuzzer with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func parseFuzzedInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    FuzzTarget.selected.parse(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}
