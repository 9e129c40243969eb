// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Foundation
import Tensors
import ZImage

/// Parses `FILE` or `FILE:SCALE`.
enum LoRAOption {
    static func parse(_ text: String) throws(ValidationError) -> Pipeline<CPUBackend>.LoRA {
        guard let colon = text.lastIndex(of: ":") else { return .init(url: URL(filePath: text)) }
        let suffix = text[text.index(after: colon)...]
        if let scale = Double(suffix), scale.isFinite, colon != text.startIndex {
            return .init(url: URL(filePath: String(text[..<colon])), scale: scale)
        }
        // A colon may be part of the file name.
        if FileManager.default.fileExists(atPath: text) { return .init(url: URL(filePath: text)) }
        throw ValidationError(
            "--lora must be FILE or FILE:SCALE with a number such as 0.8, got '\(text)'.")
    }
}
