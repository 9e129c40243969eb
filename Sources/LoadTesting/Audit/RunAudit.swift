// Part of Inkstone. Licence: see LICENSE.

/// The twenty checks on a run's own records.
package struct RunAudit: Sendable {
    package let evidence: RunEvidence

    /// Takes evidence whose figures are computed.
    package init(_ evidence: RunEvidence) { self.evidence = evidence }

    /// Runs all checks.
    package func report() -> AuditReport {
        AuditReport(
            subject: evidence.manifest.run,
            checks: [
                littlesLaw, asymptoticBound, logCounts, logTimes, engineMetrics, duplicates,
                determinism, cacheTiming, coordinatedOmission, testerHealth, rooflineRate,
                rooflineLatency, workLedger, deviceTime, rateResolution, stageLaw, memoryInventory,
                clocks, wireBudget, headline,
            ])
    }

    // MARK: - What checks share

    var manifest: Manifest { evidence.manifest }
    var levels: [LevelEvidence] { evidence.levels }
    /// Levels and the audit's own requests.
    var everything: [LevelEvidence] { levels + (evidence.probes.map { [$0] } ?? []) }
    var model: WorkModel? { manifest.target.model.flatMap(WorkModel.named) }

    static func percent(_ share: Double, _ decimals: Int = 2) -> String {
        Figures.decimals(100 * share, decimals) + " %"
    }

    static func ms(_ value: Double) -> String { Figures.significant(value, 4) + " ms" }
}
