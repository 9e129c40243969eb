// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Engine

@main
struct Inkstone: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inkstone",
        abstract: "Makes pictures from Chinese and English prompts with models of the Z-Image family.",
        version: version,
        subcommands: [
            GenerateCommand.self, ServeCommand.self, ModelsCommand.self, DoctorCommand.self,
            BenchmarkCommand.self,
        ])

    static func main() async {
        do {
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            finish(error)
        }
    }
}
