// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Engine
import Foundation
import Gateway
import Imaging
import ModelFiles
import Tensors
import ZImage

/// Exit statuses, as `sysexits.h` numbers them where it has a fitting one.
enum ExitStatus: Int32 {
    case usage = 64
    case badFile = 65
    case notFound = 66
    case failed = 70
    case busy = 75
    case interrupted = 130

    init(_ error: any Error) {
        switch error {
        case let error as CheckpointError: self = error.code == .notFound ? .notFound : .badFile
        case let error as TokenizerError: self = error.code == .notFound ? .notFound : .badFile
        case let error as ImagingError: self = error.code == .notFound ? .notFound : .badFile
        case is RequestError, is PipelineError, is BackendError, is ValidationError: self = .usage
        case is MemoryError: self = .busy
        case is CancellationError: self = .interrupted
        case let error as GatewayError: self = error.code == .remoteWithoutKeys ? .usage : .busy
        case let error as GenerationError: self = error.code == .busy ? .busy : .failed
        default: self = .failed
        }
    }
}

/// Ends the program: help and version on standard output, errors as one line on standard error.
func finish(_ error: any Error) -> Never {
    // The parser's own errors carry usage texts; it knows how to show them.
    let code = Inkstone.exitCode(for: error)
    if code == .success || code == .validationFailure { Inkstone.exit(withError: error) }
    let status = ExitStatus(error)
    if status != .interrupted {
        FileHandle.standardError.write(Data("inkstone: \(error)\n".utf8))
    } else {
        FileHandle.standardError.write(Data("inkstone: interrupted\n".utf8))
    }
    Foundation.exit(status.rawValue)
}
