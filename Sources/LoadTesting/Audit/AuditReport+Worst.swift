// Part of Inkstone. Licence: see LICENSE.

extension AuditReport {
    /// The finding that invalidates the most, if a check failed.
    public var worst: (check: AuditCheck, finding: AuditFinding)? {
        for id in CheckID.bySeverity {
            guard let check = self[id], check.verdict == .fail,
                let finding = check.findings.first(where: { $0.verdict == .fail })
            else { continue }
            return (check, finding)
        }
        return nil
    }

    /// The worst finding in one sentence: what it means, and the figures of the check.
    public var worstInWords: String? {
        guard let (check, finding) = worst else { return nil }
        let level = finding.level.map { " at \($0)" } ?? ""
        let others = checks.count { $0.verdict == .fail } - 1
        let more = others == 0 ? "" : "; \(others) more check\(others == 1 ? "" : "s") failed"
        let figures = finding.text.hasSuffix(".") ? String(finding.text.dropLast()) : finding.text
        return
            "\(check.id.failure)\(level): \(figures) (\(check.id.rawValue), \(check.title))\(more)."
    }
}

extension CheckID {
    /// The checks from the one whose failure invalidates the most to the one with the least.
    ///
    /// Images that were not generated come first, then contradictions between figures, then a load that
    /// was not the one planned, then limits of the hardware.
    package static let bySeverity: [CheckID] = [
        .a6, .a8, .a1, .a3, .a5, .a13, .a14, .a4, .a18, .a9, .a10, .a2, .a12, .a11, .a19, .a7, .a16,
        .a15, .a20, .a17,
    ]

    /// What a failure of the check means.
    package var failure: String {
        switch self {
        case .a1: "Throughput, latency and number of users contradict each other"
        case .a2: "Requests are served faster under load than alone"
        case .a3: "The requests are not those of the access log"
        case .a4: "The access log has other durations than the records"
        case .a5: "The engine's metrics contradict the records"
        case .a6: "Different requests returned the same image"
        case .a7: "A repeated request returned another image"
        case .a8: "Equal requests are faster: a cache responds that is not declared"
        case .a9: "The load was not the one that was planned"
        case .a10: "The load tester was overloaded"
        case .a11: "The rate requires more arithmetic than the devices have"
        case .a12: "An image was faster than its arithmetic allows"
        case .a13: "The server counted other work than was requested"
        case .a14: "The devices were busy for more time than there was"
        case .a15: "A printed rate cannot result from the number of requests"
        case .a16: "A preview arrived before it could have been computed"
        case .a17: "The memory reported is less than the weights need"
        case .a18: "The clocks of the log and of the records disagree"
        case .a19: "The responses have more bytes than the link carries"
        case .a20: "A figure of the headline is not in the table"
        }
    }
}
