// Part of Inkstone. Licence: see LICENSE.

import Engine
import Imaging

extension ImageReader {
    /// Decodes the images of controls.
    ///
    /// - Throws: `APIError` that names the field of a file that cannot be decoded.
    func decoded(_ controls: [StatedControl]) async throws(APIError) -> [ControlInput] {
        var inputs: [ControlInput] = []
        for control in controls {
            var input = control.input
            input.image = try await decoded(control.image, "image")
            input.source = try await decoded(control.source, "source")
            input.mask = try await decoded(control.mask, "mask")
            inputs.append(input)
        }
        return inputs
    }

    private func decoded(_ text: String?, _ part: String) async throws(APIError) -> RGBImage? {
        guard let text, !text.isEmpty else { return nil }
        return try await image(base64: text, field: "controls.\(part)").flattened()
    }
}
