// Part of Inkstone. Licence: see LICENSE.

import ControlMaps
import Engine
import HTTPTypes
import Imaging
import Parameters
import Service

extension ImageCall {
    /// Returns the call with the maps of its controls, made in the size of its images.
    ///
    /// A control without images uses the source image of the call; one of type `inpaint` repaints it where the mask is
    /// white.
    ///
    /// - Parameters:
    ///   - controls: the controls.
    ///   - shown: the part of the images, from the upper left, that the maps are for; `nil` is the whole.
    /// - Returns: the call with its maps.
    /// - Throws: `APIError` 400 that names what a control lacks.
    func adding(_ controls: [ControlInput], shown: PixelSize? = nil) async throws -> ImageCall {
        guard !controls.isEmpty else { return self }
        var request = submit()
        let (size, source) = (request.size, request.source)
        do {
            let made = try await WorkThreads.images.run {
                try controls.map { control in
                    var control = control
                    // The source image has the size of the whole already.
                    let isOwn = control.image != nil || control.source != nil
                    if control.image == nil, control.source == nil {
                        if control.type == .inpaint {
                            control.source = source?.image
                            control.mask = control.mask ?? source?.mask
                        } else {
                            control.image = source?.image
                        }
                    }
                    return try control.parameters(for: size, shown: isOwn ? shown : nil)
                }
            }
            request = try request.with(controls: made)
        } catch let error as RequestError {
            throw APIError(error)
        } catch let error as ImagingError {
            throw APIError.invalid("controls", error.description)
        }
        return ImageCall(request: request, model: model)
    }

    /// Returns the call with its controls by name, for a forecast: neither time nor memory depend on the maps.
    ///
    /// - Throws: `APIError` 400 for more controls than a request may have.
    func naming(_ controls: [StatedControl]) throws(APIError) -> ImageCall {
        let named = controls.map {
            ControlParameters(model: $0.input.model, type: $0.input.type.rawValue)
        }
        do {
            return ImageCall(request: try submit().with(controls: named), model: model)
        } catch { throw APIError(error) }
    }
}
