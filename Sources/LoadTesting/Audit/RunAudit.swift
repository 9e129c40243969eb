// Part of Inkstone. Licence: see LICENSE.

/// The twenty checks of a run on its own records.
public struct RunAudit: Sendable {
    /// The run.
    public let evidence: RunEvidence

    /// Creates the audit of a run whose figures are computed (``RunEvidence/compute()``).
    public init(_ evidence: RunEvidence) { self.evidence = evidence }

    /// Runs all checks.
    public func report() -> AuditReport {
        AuditReport(
            subject: evidence.manifest.run,
            checks: [
                littlesLaw, asymptoticBound, logCounts, logTimes, engineMetrics, duplicates,
                determinism, cacheTiming, coordinatedOmission, testerHealth, rooflineRate,
                rooflineLatency, workLedger, deviceTime, rateResolution, stageLaw, memoryInventory,
                clocks, wireBudget, headline,
            ])
    }

    // MARK: - Shared by the checks

    var manifest: Manifest { evidence.manifest }
    var levels: [LevelEvidence] { evidence.levels }
    /// The levels and the audit's own requests.
    var everything: [LevelEvidence] { levels + (evidence.probes.map { [$0] } ?? []) }
    var model: WorkModel? { manifest.target.model.flatMap(WorkModel.named) }

    static func percent(_ share: Double, _ decimals: Int = 2) -> String {
        Figures.decimals(100 * share, decimals) + " %"
    }

    static func ms(_ value: Double) -> String { Figures.significant(value, 4) + " ms" }
}
