// Part of Inkstone. Licence: see LICENSE.

/// The checks that need only a published table.
///
/// What the table does not name is not guessed: the roofline is then computed for every size and
/// device that is known, and a finding fails only when all of them say so.
package struct TableAudit: Sendable {
    package let table: PublishedTable
    /// The device, where it is known.
    package var device: DevicePeaks?
    package var devices = 1
    /// The image's size, where it is known.
    package var size: (width: Int, height: Int)?
    package var steps = 8
    package var model = WorkModel.zImageTurbo
    /// Seconds that each level was held.
    package var hold: Double?
    /// Bytes a second that the link carries.
    package var linkBytesPerSecond: Double?

    package init(_ table: PublishedTable) {
        self.table = table
        hold = table.hold
    }

    /// Runs all checks.
    package func report(subject: String) -> AuditReport {
        AuditReport(
            subject: subject,
            checks: [
                littlesLaw, asymptoticBound, rooflineRate, rooflineLatency, rateResolution,
                stageLaw,
                memoryInventory, wireBudget, titleAgainstTable,
            ],
            missing: missing)
    }

    // MARK: - What others build on

    typealias Row = PublishedTable.Row

    /// N / R, the most that so many users can be served.
    func bound(_ row: Row) -> Double { Double(row.users) / row.endToEnd }

    var bestThroughput: Double { table.rows.map(\.throughput.value).max() ?? 0 }
    var bestBound: Double { table.rows.map(bound).max() ?? 0 }

    /// The factor that all rows share between X and its bound, where they share one.
    var commonFactor: Double? {
        let factors = table.rows.map { $0.throughput.value / bound($0) }
        guard factors.count >= 2, let least = factors.min(), let most = factors.max(),
            most < 1.1 * least
        else { return nil }
        let mean = SampleStatistics.mean(factors)
        return mean > 1.10 || mean < 0.90 ? mean : nil
    }

    /// Images that a level can complete at its bound.
    ///
    /// One user completes whole images only; of many, the started ones add up.
    func imagesAtBound(_ row: Row) -> Int? {
        guard let hold else { return nil }
        let images = bound(row) * hold
        return Int(row.users == 1 ? images.rounded(.down) : images.rounded())
    }

    /// The sizes to compute with: the one that is known, else two common ones.
    var sizes: [(width: Int, height: Int)] { size.map { [$0] } ?? [(1024, 1024), (512, 512)] }

    /// The devices to compute with.
    var candidates: [DevicePeaks] { device.map { [$0] } ?? [.h100, .rtx4090] }

    func work(_ size: (width: Int, height: Int)) -> Double {
        model.operations(width: size.width, height: size.height, steps: steps)
    }

    static func name(_ size: (width: Int, height: Int)) -> String {
        "\(size.width)x\(size.height)"
    }

    static func level(_ row: Row) -> String { "N=\(row.users)" }
}
