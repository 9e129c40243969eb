// Part of Inkstone. Licence: see LICENSE.

public import ArgumentParser
public import Hub

extension HubEndpoint.Kind: ExpressibleByArgument {}

/// Which hub is asked, and with which token.
struct HubOptions: ParsableArguments {
    @Option(help: "Interface of the hub.")
    var hub = HubEndpoint.Kind.huggingFace

    @Option(
        help: ArgumentHelp(
            "Address of the hub or a mirror; HF_ENDPOINT or MODELSCOPE_ENDPOINT if not given.",
            valueName: "url"))
    var endpoint: String?

    @Option(
        help: ArgumentHelp(
            "Token of the hub; HF_TOKEN or MODELSCOPE_API_TOKEN if not given.",
            valueName: "token"))
    var token: String?

    /// The hub.
    ///
    /// - Throws: `HubError` of code `usage` for an invalid address.
    func makeEndpoint() throws(HubError) -> HubEndpoint {
        try HubEndpoint(hub, address: endpoint, token: token)
    }
}
