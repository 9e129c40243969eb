// Part of Inkstone. Licence: see LICENSE.

extension RunAudit {
    private var noPeak: String {
        "the sizes of the model or the peak of the device are unknown (device in the scenario)"
    }

    /// A11: the rate does not need more operations than the devices have.
    var rooflineRate: AuditCheck {
        let findings = levels.compactMap { level -> AuditFinding? in
            guard let share = level.figures?.peakShare, let rate = level.figures?.throughput.value
            else { return nil }
            return AuditFinding(
                share > 1 ? .fail : share > 0.75 ? .warn : .pass, level: level.key,
                "\(Figures.significant(rate, 3)) img/s are \(Self.percent(share, 1)) of the peak"
                    + (share < 0.03 ? ": not compute bound" : ""),
                numbers: ["mfu": share, "limit_fail": 1, "limit_warn": 0.75])
        }
        return AuditCheck(.a11, findings, otherwise: noPeak)
    }

    /// A12: no image was faster than its operations at peak, nor than reading the weights.
    var rooflineLatency: AuditCheck {
        let target = manifest.target
        guard let model, let operations = target.peakOperations, operations > 0 else {
            return AuditCheck(.a12, [], otherwise: noPeak)
        }
        let peak = operations * Double(target.devices)
        let findings = levels.compactMap { level -> AuditFinding? in
            let shares = level.load.filter(\.isValid).compactMap { record -> (Double, Double)? in
                guard let time = record.endToEndMs, time > 0 else { return nil }
                var least = model.operations(record.parameters) / peak
                if let weights = model.parameters.first, let bandwidth = target.peakBandwidth,
                    bandwidth > 0, let bytes = DevicePeaks.bytesPerWeight(target.precision)
                {
                    let passes = record.parameters.fewestSteps
                    least = max(
                        least,
                        Double(passes) * weights * bytes / (bandwidth * Double(target.devices)))
                }
                return (1000 * least / time, time)
            }
            guard let most = shares.max(by: { $0.0 < $1.0 }) else { return nil }
            return AuditFinding(
                most.0 > 1 ? .fail : .pass, level: level.key,
                "the fastest image took \(Self.ms(most.1)), at least \(Self.ms(most.0 * most.1)) are needed",
                numbers: [
                    "share": most.0, "time_ms": most.1, "least_ms": most.0 * most.1, "limit": 1,
                ])
        }
        return AuditCheck(.a12, findings, otherwise: "no valid image")
    }

    /// A17: the memory reported is at least that of the weights.
    var memoryInventory: AuditCheck {
        let target = manifest.target
        guard let parameters = target.parameters,
            let bytes = DevicePeaks.bytesPerWeight(target.precision)
        else {
            return AuditCheck(
                .a17, [], otherwise: "the server does not report its weights and their precision")
        }
        let inventory = parameters * bytes / 1_048_576
        var findings = levels.compactMap { level -> AuditFinding? in
            guard
                let reported = level.result?.resources.deviceMemoryMax
                    ?? level.result?.resources.serverProportionalMax
            else { return nil }
            return AuditFinding(
                reported < inventory ? .fail : .pass, level: level.key,
                "\(Figures.grouped(reported)) MiB reported, weights in \(target.precision ?? "-") are "
                    + "\(Figures.significant(inventory, 3)) MiB",
                numbers: ["told_mib": reported, "inventory_mib": inventory])
        }
        let grown = evidence.closed.compactMap { users, level, _ in
            (level.result?.resources.deviceMemoryMax).map { (users, $0) }
        }
        if let first = grown.first, let last = grown.last, last.0 > first.0 {
            let each = (last.1 - first.1) / Double(last.0 - first.0)
            findings.append(
                AuditFinding(
                    .pass,
                    "\(Figures.decimals(each, 1)) MiB for each of \(last.0 - first.0) more users",
                    numbers: ["each_mib": each]))
        }
        return AuditCheck(.a17, findings, otherwise: "no memory was read")
    }

    /// A19: the responses fit through the link.
    var wireBudget: AuditCheck {
        guard let link = manifest.linkBytesPerSecond else {
            return AuditCheck(.a19, [], otherwise: "the scenario names no link speed")
        }
        let findings = levels.compactMap { level -> AuditFinding? in
            guard let figures = level.figures, let bytes = figures.answerBytes,
                let rate = figures.throughput.value
            else { return nil }
            let needed = rate * bytes
            return AuditFinding(
                needed > link ? .fail : .pass, level: level.key,
                "\(Figures.significant(needed / 1e6, 3)) MB/s of \(Figures.significant(link / 1e6, 3)) MB/s",
                numbers: ["needed": needed, "link": link])
        }
        return AuditCheck(.a19, findings, otherwise: "no responses")
    }

    /// A10: the tester did not disturb the measurement.
    var testerHealth: AuditCheck {
        let findings = levels.compactMap { level -> AuditFinding? in
            guard let resources = level.result?.resources,
                resources.testerCores != nil || resources.loopLagP99 != nil
            else { return nil }
            let isShared = manifest.target.process != nil
            let cores = resources.testerCores ?? 0
            let lag = resources.loopLagP99 ?? 0
            let slope = resources.testerResidentSlope ?? 0
            var reasons: [String] = []
            if isShared, cores > 0.25 { reasons.append("more than a quarter of a core") }
            if lag > 5 { reasons.append("the event loop was late") }
            let leaks = slope > 64
            return AuditFinding(
                !reasons.isEmpty ? .fail : leaks ? .warn : .pass, level: level.key,
                "tester: \(Figures.decimals(cores, 3)) cores\(isShared ? " of the server's machine" : ""), "
                    + "loop lag p99 \(Figures.decimals(lag, 2)) ms, memory \(Figures.decimals(slope, 1)) MiB a minute"
                    + (reasons.isEmpty ? "" : ": " + reasons.joined(separator: ", ")),
                numbers: [
                    "cores": cores, "limit_cores": 0.25, "loop_lag_p99_ms": lag, "limit_lag_ms": 5,
                    "resident_slope_mib": slope,
                ])
        }
        return AuditCheck(.a10, findings, otherwise: "the tester did not measure itself")
    }
}
