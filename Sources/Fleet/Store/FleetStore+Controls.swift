// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import Engine
    import Foundation
    import Parameters

    extension FleetStore {
        /// Stores the files of controls.
        func store(_ controls: [ControlParameters]) async throws -> [FleetJob.Control] {
            func store(_ bytes: Data?) async throws -> StoredFile? {
                guard let bytes else { return nil }
                return try await self.store([UInt8](bytes))
            }
            var files: [FleetJob.Control] = []
            for control in controls {
                files.append(
                    FleetJob.Control(
                        map: try await store(control.map), source: try await store(control.source),
                        mask: try await store(control.mask)))
            }
            return files
        }

        /// The controls of a job with their files.
        ///
        /// - Throws: `GenerationError` for a file that is no longer kept, `NATSError`.
        func controls(of job: FleetJob) async throws -> [ControlParameters] {
            func bytes(_ file: StoredFile?) async throws -> Data? {
                guard let file else { return nil }
                guard let bytes = try await read(file) else {
                    throw GenerationError(
                        .storage, "a control image is no longer kept; send it again.")
                }
                return Data(bytes)
            }
            var controls = job.request.controls
            for (index, files) in (job.controls ?? []).enumerated() where index < controls.count {
                controls[index].map = try await bytes(files.map)
                controls[index].source = try await bytes(files.source)
                controls[index].mask = try await bytes(files.mask)
            }
            return controls
        }
    }
#endif
