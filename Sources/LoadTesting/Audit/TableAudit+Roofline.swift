// Part of Inkstone. Licence: see LICENSE.

extension TableAudit {
    private func devicesText(_ operations: Double, _ device: DevicePeaks) -> String {
        let count = operations / device.operations
        let digits = count < 10 ? Figures.decimals(count, 1) : Figures.decimals(count, 0)
        let eight =
            count < 10 && count > 1
            ? device.fp8.map { ", \(Figures.decimals(operations / $0, 1)) in FP8" } ?? "" : ""
        return count < 1
            ? "\(Figures.decimals(100 * count, 0)) % of one \(device.name) in \(device.precision)"
            : "\(digits) \(device.name) in \(device.precision)\(eight)"
    }

    /// A11: the rate does not need more operations than the devices have.
    var rooflineRate: AuditCheck {
        if let unknownWork { return AuditCheck(.a11, [], otherwise: unknownWork) }
        // Without a size, the rate fails only if it is impossible for the smallest one.
        let easiest =
            sizes.map { size in
                candidates.map { bestThroughput * work(size) / (Double(devices) * $0.operations) }
                    .min()
                    ?? 0
            }.min() ?? 0
        var findings: [AuditFinding] = []
        for (place, size) in sizes.enumerated() {
            let work = work(size)
            // The second size is only for comparison: two digits.
            let digits = place == 0 ? 3 : 2
            let rates =
                [(bestThroughput, "the table's best")]
                + table.claims.filter { $0.value != bestThroughput }.prefix(1).map {
                    ($0.value, "the title's")
                }
            for (rate, whose) in rates {
                let operations = rate * work
                let shares = candidates.map { operations / (Double(devices) * $0.operations) }
                let least = shares.min() ?? 0
                let verdict: Verdict =
                    least > 1 ? easiest > 1 ? .fail : .warn : least > 0.75 ? .warn : .pass
                findings.append(
                    AuditFinding(
                        // Without a size or a device, the rate of a title cannot fail.
                        self.size == nil || device == nil
                            ? (whose == "the title's" ? min(verdict, .warn) : verdict) : verdict,
                        "At \(Self.name(size)) (\(Figures.decimals(work / 1e12, 0)) TFLOP an image) "
                            + "\(whose) \(Figures.significant(rate, 3)) img/s need "
                            + "\(Figures.significant(operations / 1e15, digits)) PFLOP/s: "
                            + candidates.map { devicesText(operations, $0) }.joined(separator: ", ")
                            + (least < 0.03 ? "; not compute bound" : ""),
                        numbers: [
                            "operations": operations, "mfu": least, "rate": rate, "limit_fail": 1,
                            "limit_warn": 0.75,
                        ]))
            }
        }
        if let scaling = scaling { findings.append(scaling) }
        return AuditCheck(.a11, findings, otherwise: "no levels")
    }

    /// Compares the speed-up with what one image alone leaves of the device.
    private var scaling: AuditFinding? {
        guard let first = table.rows.first, first.users == 1, table.rows.count > 1,
            !table.isMixed,
            let size = sizes.first, let peak = candidates.first
        else { return nil }
        let share = work(size) / first.endToEnd / (Double(devices) * peak.operations)
        let claimed = bestThroughput / first.throughput.value
        let atBound = bestBound / bound(first)
        let headroom = 1 / share
        let tooMuch = min(claimed, atBound) > 1.1 * headroom
        return AuditFinding(
            tooMuch ? .warn : .pass,
            "One image alone at \(Self.name(size)) is at \(Figures.decimals(100 * share, 0)) % of \(devices == 1 ? "one" : "\(devices)") "
                + "\(peak.name): at most \(Figures.decimals(headroom, 0))x is left for batches, the table "
                + "claims \(Figures.decimals(claimed, 1))x from N=1 to \(table.rows.last?.users ?? 1) "
                + "(\(Figures.decimals(atBound, 1))x at its bounds)"
                + (tooMuch
                    ? ": there are several devices, or N=1 does not measure the device." : "."),
            numbers: ["share": share, "room": headroom, "claimed": claimed, "at_bound": atBound])
    }

    /// A12: no image is faster than its operations at peak, nor than reading the weights in each step.
    var rooflineLatency: AuditCheck {
        if let unknownWork { return AuditCheck(.a12, [], otherwise: unknownWork) }
        guard let fastest = table.rows.min(by: { $0.endToEnd < $1.endToEnd }),
            let size = sizes.first, let smallest = sizes.last
        else { return AuditCheck(.a12, [], otherwise: "no levels") }
        let work = work(size)
        let weights = model.parameters.first ?? 0
        let shares = candidates.map { work / fastest.endToEnd / (Double(devices) * $0.operations) }
        let reading = candidates.map { device in
            device.bandwidth.map {
                Double(steps) * weights * device.bytesPerWeight / $0 / Double(devices)
                    / fastest.endToEnd
            } ?? 0
        }
        // Without a named device, the check passes if one of the candidates suffices.
        let easiest = self.work(smallest) / work
        let least = zip(shares.map { $0 * easiest }, reading).map(max).min() ?? 0
        return AuditCheck(
            .a12,
            [
                AuditFinding(
                    least > 1 ? .fail : .pass,
                    "\(Figures.decimals(fastest.endToEnd, 3)) s at \(Self.name(size)) and \(steps) steps is "
                        + zip(candidates, shares).map {
                            "\(Figures.decimals(100 * $1, 0)) % of the peak of one \($0.name) in \($0.precision)"
                        }.joined(separator: ", ")
                        + (least > 1
                            ? ": impossible."
                            : shares.contains { $0 > 1 }
                                ? ": possible on the first." : ": possible."),
                    numbers: ["share": least, "limit": 1])
            ], otherwise: "")
    }

    /// A17: the weights must fit in the memory reported.
    var memoryInventory: AuditCheck {
        if let unknownWork { return AuditCheck(.a17, [], otherwise: unknownWork) }
        if table.isMixed { return AuditCheck(.a17, [], otherwise: Self.mixed) }
        let rows = table.rows.filter { $0.memory != nil }
        guard let first = rows.first, let last = rows.last, let reported = first.memory,
            let grown = last.memory
        else { return AuditCheck(.a17, [], otherwise: "the table has no memory") }
        guard !model.parameters.isEmpty else {
            return AuditCheck(.a17, [], otherwise: "the weights of the model are unknown")
        }
        let parts = model.parameters.map { 2 * $0 / 1e9 }
        let inventory = parts.reduce(0, +)
        var findings = [
            AuditFinding(
                inventory > reported ? .warn : .pass,
                "BF16 weights alone are \(parts.map { Figures.decimals($0, 1) }.joined(separator: " + ")) = "
                    + "\(Figures.decimals(inventory, 1)) GB, the table has \(Figures.decimals(reported, 1)) GB"
                    + (inventory > reported
                        ? ": weights are quantized, offloaded or not counted, which the table does not state."
                        : "."),
                numbers: ["inventory_gb": inventory, "reported_gb": reported])
        ]
        let more = last.users - first.users
        if more > 0, let size = sizes.first {
            let each = (grown - reported) * 1000 / Double(more)
            let tokens = Double(
                WorkModel.imageTokens(width: size.width, height: size.height) + 64)
            let row = 2 * tokens * Double(model.transformer.dim) / 1e6
            let halves = 4 * tokens * Double(model.transformer.feedForward) / 1e6
            let speedUp = bestBound / bound(first)
            let tight = each < 3 * row && speedUp > 4
            findings.append(
                AuditFinding(
                    tight ? .warn : .pass,
                    "\(Figures.decimals(grown - reported, 1)) GB for \(more) more requests is "
                        + "\(Figures.decimals(each, 0)) MB each; one more \(Self.name(size)) row of a batch "
                        + "needs about \(Figures.decimals(row, 0)) MB for the residual stream, "
                        + "\(Figures.decimals(3 * row, 0)) MB for q, k, v and \(Figures.decimals(halves, 0)) MB "
                        + "for the two SwiGLU halves"
                        + (tight
                            ? ": memory says a batch of a handful, throughput says \(Figures.decimals(speedUp, 0))x."
                            : "."),
                    numbers: [
                        "each_mb": each, "row_mb": row, "halves_mb": halves, "speed_up": speedUp,
                    ]
                ))
        }
        return AuditCheck(.a17, findings, otherwise: "")
    }

    /// A19: the responses must fit through the link.
    var wireBudget: AuditCheck {
        guard let link = linkBytesPerSecond else {
            return AuditCheck(.a19, [], otherwise: "the capacity of the link is unknown")
        }
        let findings = table.rows.compactMap { row in
            row.answerBytes.map { bytes in
                let needed = row.throughput.value * bytes
                return AuditFinding(
                    needed > link ? .fail : .pass, level: Self.level(row),
                    "\(Figures.significant(needed / 1e6, 3)) MB/s of "
                        + "\(Figures.significant(link / 1e6, 3)) MB/s",
                    numbers: ["needed": needed, "link": link])
            }
        }
        return AuditCheck(.a19, findings, otherwise: "the table has no bytes of a response")
    }
}
