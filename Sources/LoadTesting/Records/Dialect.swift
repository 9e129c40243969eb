// Part of Inkstone. Licence: see LICENSE.

/// The HTTP interface that a run speaks to its server.
package enum Dialect: String, Codable, Sendable, CaseIterable {
    /// `POST /v1/images/generations`, one answer with base64.
    case openAI = "openai"
    /// The same with `stream: true`: partial images as server-sent events.
    case openAIStream = "openai-stream"
    /// The same path in Xinference's words: extra parameters as JSON text in `kwargs`.
    case xinference
    /// `POST /sdapi/v1/txt2img`; previews come from polling `/sdapi/v1/progress`.
    case a1111
    /// `POST /api/jobs`, then its events, then the image.
    case jobs
}
