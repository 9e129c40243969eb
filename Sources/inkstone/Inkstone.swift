// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Basics
import Engine

@main
struct Inkstone: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inkstone",
        abstract: "Generate images from Chinese and English prompts with Z-Image models.",
        discussion: """
            Try: inkstone generate "a red apple on a blue background"
            Or:  inkstone serve, and open http://127.0.0.1:7860

            Exit status:
              0    done
              1    doctor found something that needs an action
              64   an option or a value is invalid
              65   a model, LoRA or image file, or the data folder, is damaged or of
                   an unsupported kind
              66   a file or folder does not exist, or cannot be read or written
              70   a number overflowed, the disk is full, or another failure
              75   too little memory, or a port or the data folder is in use
              130  interrupted
            """,
        version: "inkstone \(version)",
        subcommands: [
            GenerateCommand.self, ServeCommand.self, MCPCommand.self, ModelsCommand.self,
            LoRACommand.self, DoctorCommand.self, VerifyCommand.self, BenchmarkCommand.self,
            KeysCommand.self, BackupCommand.self, RestoreCommand.self, WorkerCommand.self,
            DecodePictureCommand.self, ReadLoRACommand.self,
        ])

    static func main() async {
        Allocator.limitUnusedMemory()
        do {
            var command = try parseAsRoot(
                try ConfigFile.expand(Array(CommandLine.arguments.dropFirst())))
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            finish(error, of: Self.self)
        }
    }
}
