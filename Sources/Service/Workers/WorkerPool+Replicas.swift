// Part of Inkstone. Licence: see LICENSE.

extension WorkerPool {
    /// Adds workers to a model and waits until they are ready.
    ///
    /// - Parameters:
    ///   - count: how many more.
    ///   - id: the model's name for requests.
    /// - Returns: their names.
    /// - Throws: `LaunchError`; then none of them is there.
    @discardableResult
    package func addReplicas(_ count: Int, to id: String) async throws -> [String] {
        let index = try loaded(id)
        try checkBudget(id, served[index].workerBytes, count)
        let entry = served[index]
        let devices = try entry.launch.devices(
            for: max(1, count), beside: entry.replicas.map(\.device))
        let added = devices.enumerated().map { index, device in
            replica(entry.lastNumber + 1 + index, of: id, entry.launch, device: device)
        }
        // Their memory is reserved from now on; requests prefer workers that are up.
        served[index].lastNumber += added.count
        served[index].replicas += added
        shares.add(added.count)
        changes.notify()
        do {
            try await Self.startAll(added)
        } catch {
            for replica in added { await remove(replica, serial: entry.serial, grace: .zero) }
            throw error
        }
        return added.map(\.name)
    }

    /// Removes a worker from a model: it gets no more requests, and ends after those that it has.
    ///
    /// - Parameters:
    ///   - number: the worker's, as in its name.
    ///   - id: the model's name for requests.
    ///   - grace: Time for its requests; afterwards they are run again on another worker.
    /// - Returns: how many are left.
    /// - Throws: `LaunchError` where there is no such worker, and for the last one.
    @discardableResult
    package func removeReplica(
        _ number: Int, of id: String, grace: Duration = .seconds(30)
    ) async throws -> Int {
        let entry = served[try loaded(id)]
        guard let replica = entry.replicas.first(where: { $0.name == "\(id)/\(number)" }) else {
            let names = entry.replicas.map { "'\($0.name)'" }.joined(separator: ", ")
            throw LaunchError(
                .notLaunched, "there is no worker '\(id)/\(number)'; there are \(names).")
        }
        guard entry.replicas.count > 1 else {
            throw LaunchError(
                .usage, "'\(replica.name)' is the model's only worker; terminate the model instead."
            )
        }
        let left = entry.replicas.count - 1
        await remove(replica, serial: entry.serial, grace: grace)
        return left
    }

    private func loaded(_ id: String) throws(LaunchError) -> Int {
        guard let index = served.firstIndex(where: { $0.id == id && $0.model != nil }) else {
            throw LaunchError(
                .notLaunched, "there is no model '\(id)' that is loaded; GET /v1/models lists them."
            )
        }
        return index
    }

    private func remove(_ replica: Replica, serial: Int, grace: Duration) async {
        guard let index = served.firstIndex(where: { $0.serial == serial }),
            let position = served[index].replicas.firstIndex(where: { $0 === replica })
        else { return }
        var leaving = served[index]
        leaving.replicas = [replica]
        served[index].replicas.remove(at: position)
        changes.notify()
        leavingBytes += leaving.bytes
        await countPasses(of: [leaving])
        await replica.end(grace: grace)
        leavingBytes -= leaving.bytes
        shares.add(-1)
    }

    static func end(_ replicas: [Replica], grace: Duration) async {
        await withTaskGroup(of: Void.self) { group in
            for replica in replicas { group.addTask { await replica.end(grace: grace) } }
        }
    }
}
