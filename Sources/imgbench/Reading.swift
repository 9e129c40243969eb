// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import LoadTesting

/// Shared by the commands that read results.
enum Reading {
    /// Reads a run and computes its figures.
    static func reporter(_ path: String) throws -> RunReporter {
        try orExit { try RunReporter(ResultFolder(path: path)) }
    }

    /// Prints the error and exits when a result cannot be read or written.
    static func orExit<T>(_ work: () throws -> T) throws -> T {
        do {
            return try work()
        } catch let error as ResultError {
            Perform.printError(error.description)
            throw ExitStatus.couldNotRun
        }
    }

    /// Encodes a value as in result folders.
    static func json(_ value: some Encodable) throws -> String {
        String(decoding: try RecordCoding.document(value), as: UTF8.self)
    }
}
