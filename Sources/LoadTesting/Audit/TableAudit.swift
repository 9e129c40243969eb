// Part of Inkstone. Licence: see LICENSE.

/// The checks that need only a published table.
///
/// Facts that the table does not have are not guessed: the roofline is then computed for common sizes
/// and devices, and a finding fails only if it fails for all of them.
public struct TableAudit: Sendable {
    /// The table.
    public let table: PublishedTable
    /// The device, if known.
    public var device: DevicePeaks?
    /// Number of devices.
    public var devices = 1
    /// Size of the images in pixels, if known.
    public var size: (width: Int, height: Int)?
    /// Steps of an image.
    public var steps = 8
    /// The model.
    public var model = WorkModel.zImageTurbo
    /// Seconds that each level was held.
    public var hold: Double?
    /// Capacity of the link in bytes a second, if known.
    public var linkBytesPerSecond: Double?

    /// Creates the audit of a table.
    public init(_ table: PublishedTable) {
        self.table = table
        hold = table.hold
    }

    /// Runs all checks; `subject` names the table in the report.
    public func report(subject: String) -> AuditReport {
        AuditReport(
            subject: subject,
            checks: [
                littlesLaw, asymptoticBound, rooflineRate, rooflineLatency, rateResolution,
                stageLaw,
                memoryInventory, wireBudget, titleAgainstTable,
            ],
            missing: missing,
            leftOut: table.omissions.map { "\($0.name) (\($0.reason))" })
    }

    // MARK: - Shared by the checks

    typealias Row = PublishedTable.Row

    /// N / R, the upper bound of the throughput of N users.
    func bound(_ row: Row) -> Double { Double(row.users) / row.endToEnd }

    var bestThroughput: Double { table.rows.map(\.throughput.value).max() ?? 0 }
    var bestBound: Double { table.rows.map(bound).max() ?? 0 }

    /// The factor between X and its bound that all rows share, if they do.
    var commonFactor: Double? {
        let factors = table.rows.map { $0.throughput.value / bound($0) }
        guard factors.count >= 2, let least = factors.min(), let most = factors.max(),
            most < 1.1 * least
        else { return nil }
        let isOff = table.rows.contains { !littleLimits($0).overlaps(littleRange($0)) }
        return isOff ? SampleStatistics.mean(factors) : nil
    }

    /// The number of images that a level completes at its bound.
    ///
    /// Rounded down for one user, who completes whole images only.
    func imagesAtBound(_ row: Row) -> Int? {
        guard let hold else { return nil }
        let images = bound(row) * hold
        return Int(row.users == 1 ? images.rounded(.down) : images.rounded())
    }

    /// The sizes to compute with: the known one, or two common ones.
    var sizes: [(width: Int, height: Int)] { size.map { [$0] } ?? [(1024, 1024), (512, 512)] }

    /// The devices to compute with.
    var candidates: [DevicePeaks] { device.map { [$0] } ?? [.h100, .rtx4090] }

    func work(_ size: (width: Int, height: Int)) -> Double {
        model.operations(width: size.width, height: size.height, steps: steps)
    }

    static func name(_ size: (width: Int, height: Int)) -> String {
        "\(size.width)x\(size.height)"
    }

    /// Why checks that compare levels do not apply to a table with several series.
    static let mixed = "several rows have the same number of users: the table has several series"

    /// Why the operations of an image are unknown; `nil` when they are known.
    var unknownWork: String? {
        table.otherModels.isEmpty
            ? nil
            : "the operations of \(table.otherModels.joined(separator: ", ")) are unknown"
    }

    static func level(_ row: Row) -> String { "N=\(row.users)" }
}
