// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Foundation
import Gateway
import Transfers

/// `inkstone mcp`: the Model Context Protocol on standard input and output, for agents that start their servers.
struct MCPCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mcp",
        abstract:
            "Serve agents that speak the Model Context Protocol, over standard input and output.",
        discussion: """
            Without --url a server on port 9997 of this machine is used. Where none runs,
            one is started on a free port, with the options of 'inkstone serve' that
            follow --, and ends with this program. Agents that speak the protocol over HTTP
            do not need it: a running server has it at /mcp.

            A key for the server is taken from INKSTONE_API_KEY.
            """)

    @Option(help: ArgumentHelp("Address of a running server.", valueName: "url"))
    var url: String?

    @Argument(
        parsing: .postTerminator,
        help: ArgumentHelp("Options of a server that is started.", valueName: "options of serve"))
    var serveOptions: [String] = []

    /// Where a server listens by default.
    private static let usualAddress = "http://127.0.0.1:9997"

    func validate() throws {
        guard url == nil || serveOptions.isEmpty else {
            throw ValidationError(
                "a server at --url is running already: leave out what follows --.")
        }
        if let url, !url.hasPrefix("http://"), !url.hasPrefix("https://") {
            throw ValidationError("--url must begin with http:// or https://, got '\(url)'.")
        }
    }

    func run() async throws {
        let output = try MessageOutput()
        let client = TransferClient()
        var address = url
        if address == nil, serveOptions.isEmpty, await Self.isServing(client) {
            address = Self.usualAddress
        }
        if let address {
            return await MCPBridge(client, address, output).run()
        }
        let words = ["--port", "0", "--page-port", "0"] + serveOptions
        let command: ServeCommand
        do { command = try ServeCommand.parse(words) } catch {
            throw ValidationError(
                "what follows -- must be options of 'inkstone serve': \(ServeCommand.message(for: error))"
            )
        }
        try await command.run { addresses in
            Task {
                await MCPBridge(client, addresses.api, output).run()
                // The server ends as it does at a signal of a supervisor.
                kill(getpid(), SIGTERM)
            }
        }
    }

    /// Whether a server answers at the usual address.
    private static func isServing(_ client: TransferClient) async -> Bool {
        var request = TransferRequest(usualAddress + "/livez")
        request.totalTimeout = .seconds(2)
        guard let response = try? await client.send(request) else { return false }
        return response.status == 200
    }
}
