// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes
import Hummingbird
import ModelFiles

/// The versions of the Model Context Protocol that are spoken here; they differ in nothing that is used.
enum MCPVersion {
    /// From the oldest.
    static let all = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]

    /// The version that a connection gets: the one that the client asks for, or the newest known here.
    static func agreed(_ parameters: [String: JSONValue]) -> String {
        guard case .string(let wanted)? = parameters["protocolVersion"], all.contains(wanted) else {
            return all[all.count - 1]
        }
        return wanted
    }

    /// Checks the header of requests after the first; clients that know no handshake send it with every request, and
    /// read from the refusal which versions they may use instead.
    ///
    /// - Throws: `MCPError` for a version that is not spoken here.
    static func check(_ request: Request) throws(MCPError) {
        guard let version = request.headers[.mcpProtocolVersion], !all.contains(version) else {
            return
        }
        throw MCPError(
            .unsupportedVersion,
            "MCP-Protocol-Version must be one of \(all.joined(separator: ", ")), got"
                + " \(JSONValue.string(version).summary).",
            data: [
                "supported": .array(all.map(JSONValue.string)), "requested": .string(version),
            ])
    }
}
