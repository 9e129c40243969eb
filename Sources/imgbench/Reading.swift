// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import LoadTesting

/// What the commands that work on results share.
enum Reading {
    /// A run with everything computed.
    static func reporter(_ path: String) throws -> RunReporter {
        try orEnd { try RunReporter(ResultFolder(path: path)) }
    }

    /// Ends the program with one sentence when a result cannot be read or written.
    static func orEnd<T>(_ work: () throws -> T) throws -> T {
        do {
            return try work()
        } catch let error as ResultError {
            Perform.tell(error.description)
            throw ExitStatus.couldNotRun
        }
    }

    /// A value as the result folder has it.
    static func json(_ value: some Encodable) throws -> String {
        String(decoding: try RecordCoding.document(value), as: UTF8.self)
    }
}
