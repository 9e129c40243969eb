// Part of Inkstone. Licence: see LICENSE.

public import ArgumentParser
public import Engine
import Foundation
public import Service

/// `inkstone keys`: manages the API keys of the service.
struct KeysCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys",
        abstract: "Create, list and revoke API keys; with at least one, every request needs a key.",
        subcommands: [Add.self, List.self, Revoke.self])

    struct Add: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Create a key and print it; it cannot be shown again.")

        @Argument(help: "Name of the key, such as that of its holder.")
        var name: String

        @Option(help: "Scope of the key.")
        var scope = APIKey.Scope.generate

        @Option(
            parsing: .unconditional,
            help: ArgumentHelp("Maximum number of concurrent requests.", valueName: "count"))
        var concurrency: Int?

        @Option(
            parsing: .unconditional,
            help: ArgumentHelp("Maximum number of requests per minute.", valueName: "count"))
        var perMinute: Int?

        @Option(help: "Maximum priority of requests with the key.")
        var priority = Priority.normal

        @OptionGroup var place: KeyPlace

        mutating func validate() throws {
            for (option, value) in [("--concurrency", concurrency), ("--per-minute", perMinute)] {
                if let value, value < 1 {
                    throw ValidationError("\(option) must be at least 1, got \(value).")
                }
            }
        }

        func run() throws {
            print(
                try place.store(creating: true).add(
                    name, scope: scope, concurrency: concurrency, perMinute: perMinute,
                    priority: priority))
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the keys.")

        @OptionGroup var place: KeyPlace

        func run() throws {
            for key in try place.store().keys {
                let limits = [
                    key.concurrency.map { "\($0) at once" }, key.perMinute.map { "\($0) a minute" },
                    key.priority.flatMap { $0 == .normal ? nil : "priority \($0.rawValue)" },
                ].compactMap(\.self)
                print(
                    ([key.name, key.scope.rawValue, key.created.formatted(.iso8601)] + limits)
                        .joined(separator: "  "))
            }
        }
    }

    struct Revoke: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Revoke a key; running servers apply it at once.")

        @Argument(help: "The key's name.")
        var name: String

        @OptionGroup var place: KeyPlace

        func run() throws {
            let store = try place.store()
            guard try store.revoke(name) == 0 else { return }
            print(
                """
                This was the last key. The server stays closed: it refuses every request that needs a key
                until there is one again ('inkstone keys add NAME'). To serve without keys, stop the server,
                remove \(store.files.joined(separator: " and ")), and start it again.
                """)
        }
    }
}

/// The data folder of a server, which contains its keys.
struct KeyPlace: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Data folder of the server; INKSTONE_DATA or ~/.local/share/inkstone/data if not given.",
            valueName: "folder"))
    var data: String?

    func store(creating: Bool = false) throws -> KeyStore {
        let folder = DataOptions.folder(data)
        if creating {
            if let sentence = DataFolder.denial(of: folder) {
                throw CommandError(.notFound, sentence)
            }
            for warning in try DataFolder.open(folder) { complain(warning) }
        }
        return try KeyStore(folder: folder)
    }
}

extension APIKey.Scope: ExpressibleByArgument {}
extension Priority: ExpressibleByArgument {}
