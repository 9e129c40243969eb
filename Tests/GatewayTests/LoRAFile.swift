// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Imaging

/// LoRA files with a thumbnail, for tests.
enum LoRAFile {
    static let model = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Models/emoji-nano")

    /// A LoRA file of the embedded model with other metadata.
    static func bytes(metadata: [String: String]) throws -> [UInt8] {
        let file = [UInt8](
            try Data(contentsOf: model.appending(path: "loras/pixel.safetensors")))
        let length = file.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        var header =
            try JSONSerialization.jsonObject(with: Data(file[8..<(8 + length)])) as? [String: Any]
            ?? [:]
        header["__metadata__"] = metadata
        let changed = [UInt8](try JSONSerialization.data(withJSONObject: header))
        let size = (0..<8).map { UInt8(truncatingIfNeeded: changed.count >> (8 * $0)) }
        return size + changed + file[(8 + length)...]
    }

    /// A LoRA file whose thumbnail is an image of this size.
    static func bytes(thumbnail width: Int, _ height: Int) throws -> [UInt8] {
        let image = try ImageEncoder.encode(
            try RGBImage(width: width, height: height, filledWith: (10, 200, 30)))
        let text = "data:image/png;base64," + Data(image).base64EncodedString()
        return try bytes(metadata: ["modelspec.thumbnail": text])
    }
}
