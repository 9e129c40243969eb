// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// A moment in the parts that logs write.
struct UTCTime {
    let year: Int
    /// 1 to 12.
    let month: Int
    let day: Int
    /// Such as `13:55:36`.
    let clock: String
    private let milliseconds: Int

    /// The parts of Unix seconds.
    init(_ time: Double) {
        let total = Int64((time * 1000).rounded())
        milliseconds = Int(total % 1000)
        var seconds = time_t(total / 1000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        year = Int(parts.tm_year) + 1900
        month = Int(parts.tm_mon) + 1
        day = Int(parts.tm_mday)
        clock = [parts.tm_hour, parts.tm_min, parts.tm_sec].map { Self.two(Int($0)) }
            .joined(separator: ":")
    }

    /// Such as `2026-10-10T13:55:36.120Z`.
    var iso8601: String {
        let rest = String(milliseconds)
        return "\(year)-\(Self.two(month))-\(Self.two(day))T\(clock)"
            + ".\(String(repeating: "0", count: 3 - rest.count))\(rest)Z"
    }

    static func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
