// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Engine
import Gateway
import Hub
import Imaging
import ModelFiles
import Parameters
import Service
import Telemetry
import Tensors
import VulkanTensors
import ZImage

/// Exit statuses, with the values of `sysexits.h` if applicable.
///
/// They are documented in `inkstone --help`; scripts may rely on them.
enum ExitStatus: Int32 {
    /// `doctor` found something that needs an action.
    case findings = 1
    case usage = 64
    case badFile = 65
    case notFound = 66
    case failed = 70
    case busy = 75
    case interrupted = 130

    init(_ error: any Error) {
        switch error {
        case let error as CommandError: self = error.status
        case let error as CheckpointError:
            switch error.code {
            case .notFound, .denied: self = .notFound
            case .writeFailed: self = .failed
            default: self = .badFile
            }
        // The model's folder exists: a missing tokenizer makes the model invalid.
        case is TokenizerError: self = .badFile
        case let error as ImagingError:
            switch error.code {
            case .notFound, .permissionDenied: self = .notFound
            case .invalidArgument: self = .usage
            case .diskFull, .inputOutput, .encodingFailed, .metadataTooLarge: self = .failed
            default: self = .badFile
            }
        case is RequestError, is PipelineError, is ValidationError: self = .usage
        // Kernels were validated before, so the remaining reason is too little memory.
        case is MemoryError, is BackendError: self = .busy
        case let error as VulkanError:
            switch error.code {
            case .choice: self = .usage
            case .outOfMemory: self = .busy
            default: self = .failed
            }
        case is CancellationError: self = .interrupted
        case is LogFileError: self = .notFound
        case let error as HubError:
            switch error.code {
            case .usage: self = .usage
            case .notFound, .denied: self = .notFound
            case .unsupported, .corrupt: self = .badFile
            case .busy: self = .busy
            case .disk, .network: self = .failed
            }
        case let error as KeyError: self.init(error.code)
        case let error as JobStoreError: self.init(error.code)
        case let error as GatewayError: self = error.code == .remoteWithoutKeys ? .usage : .busy
        case let error as LaunchError:
            switch error.code {
            case .usage, .alreadyLaunched, .notLaunched: self = .usage
            case .badFile: self = .badFile
            case .notFound: self = .notFound
            case .overBudget, .noMemory: self = .busy
            case .cancelled: self = .interrupted
            case .failed: self = .failed
            }
        case let error as GenerationError: self = error.code == .busy ? .busy : .failed
        default: self = .failed
        }
    }

    private init(_ code: KeyError.Code) {
        switch code {
        case .name: self = .usage
        case .denied: self = .notFound
        case .file: self = .failed
        }
    }

    private init(_ code: JobStoreError.Code) {
        switch code {
        case .inUse: self = .busy
        case .damaged, .newer: self = .badFile
        case .notFound, .denied: self = .notFound
        case .unusable, .full, .locked, .keyReused: self = .failed
        }
    }
}
