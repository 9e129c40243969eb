// Part of Inkstone. Licence: see LICENSE.

public import Foundation

/// A place that has models: which, where and how to ask.
public struct HubEndpoint: Sendable, Equatable {
    /// Whose interface it speaks.
    public enum Kind: String, Sendable, CaseIterable {
        /// Hugging Face and its mirrors.
        case huggingFace = "huggingface"
        /// ModelScope.
        case modelScope = "modelscope"

        /// The public address.
        public var publicAddress: String {
            self == .huggingFace ? "https://huggingface.co" : "https://modelscope.cn"
        }

        /// What the newest files are called.
        public var defaultRevision: String { self == .huggingFace ? "main" : "master" }
        /// Environment variable of the address.
        public var addressVariable: String {
            self == .huggingFace ? "HF_ENDPOINT" : "MODELSCOPE_ENDPOINT"
        }
        /// Environment variable of the token.
        public var tokenVariable: String {
            self == .huggingFace ? "HF_TOKEN" : "MODELSCOPE_API_TOKEN"
        }
    }

    /// Whose interface it speaks.
    public let kind: Kind
    /// Address without a slash at its end.
    public let address: String
    /// Who asks; `nil` asks for public models only.
    public let token: String?

    /// A hub at `address`, or at the one that the environment names, or at the public one.
    ///
    /// - Throws: `HubError` of code `usage` for an address that is none.
    public init(
        _ kind: Kind, address: String? = nil, token: String? = nil,
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(HubError) {
        func variable(_ name: String) -> String? {
            environment[name].flatMap { $0.isEmpty ? nil : $0 }
        }
        var text = address ?? variable(kind.addressVariable) ?? kind.publicAddress
        while text.hasSuffix("/") { text.removeLast() }
        guard let parts = URLComponents(string: text),
            parts.scheme == "https" || parts.scheme == "http",
            parts.host?.isEmpty == false, parts.query == nil
        else {
            throw HubError(
                .usage,
                "the hub's address is '\(text)', expected one such as \(kind.publicAddress).")
        }
        self.kind = kind
        self.address = text
        self.token = token ?? variable(kind.tokenVariable)
    }

    // MARK: Addresses

    /// The address that reports the commit of a revision; `nil` if the hub has none.
    func revisionAddress(_ repository: String, _ revision: String) -> String? {
        kind == .huggingFace
            ? "\(address)/api/models/\(repository)/revision/\(Self.escaped(revision))" : nil
    }

    /// Where the files of a revision are listed.
    func listAddress(_ repository: String, _ revision: String) -> String {
        let revision = Self.escaped(revision)
        return switch kind {
        case .huggingFace: "\(address)/api/models/\(repository)/tree/\(revision)?recursive=true"
        case .modelScope:
            "\(address)/api/v1/models/\(repository)/repo/files?Revision=\(revision)&Recursive=true"
        }
    }

    /// Where a file's content is.
    func fileAddress(_ repository: String, _ revision: String, _ path: String) -> String {
        let revision = Self.escaped(revision)
        return switch kind {
        case .huggingFace:
            "\(address)/\(repository)/resolve/\(revision)/"
                + path.split(separator: "/").map { Self.escaped(String($0)) }.joined(separator: "/")
        case .modelScope:
            "\(address)/api/v1/models/\(repository)/repo?Revision=\(revision)&FilePath="
                + Self.escaped(path)
        }
    }

    private static func escaped(_ text: String) -> String {
        let plain = CharacterSet(
            charactersIn: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
        return text.addingPercentEncoding(withAllowedCharacters: plain) ?? text
    }
}
