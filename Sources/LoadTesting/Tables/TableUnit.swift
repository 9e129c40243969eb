// Part of Inkstone. Licence: see LICENSE.

/// The unit of a number in a published table.
enum TableUnit: Equatable {
    /// A factor to the base unit: seconds, images a second, gigabytes, bytes or percent.
    case factor(Double)
    /// Seconds an image times this factor: the inverse of a rate.
    case period(Double)
    /// Steps a second times this factor.
    case steps(Double)
    /// Seconds a step times this factor.
    case stepPeriod(Double)

    /// Parses a unit of numbers with this meaning; `nil` for anything else.
    init?(_ text: String, of meaning: ColumnMeaning) {
        let text = text.lowercased().replacing(" per ", with: "/")
            .filter { !$0.isWhitespace }
        switch meaning {
        case .meanLatency, .medianLatency, .firstPreview:
            guard let seconds = Self.times[text] else { return nil }
            self = .factor(seconds)
        case .throughput:
            guard let unit = Self.rate(text) else { return nil }
            self = unit
        case .errors, .success:
            if ["%", "percent", "pct", "百分比"].contains(text) {
                self = .factor(1)
            } else if ["share", "fraction", "ratio"].contains(text) {
                self = .factor(100)
            } else {
                return nil
            }
        case .memory:
            guard let factor = Self.gigabytes[text] else { return nil }
            self = .factor(factor)
        case .bytes:
            guard let factor = Self.bytes[text] else { return nil }
            self = .factor(factor)
        case .users, .steps, .ignored:
            return nil
        }
    }

    /// Searches the unit in a column title: in brackets, after a slash or comma, or as a word.
    init?(title: ColumnTitle, of meaning: ColumnMeaning) {
        let text = title.plain
        var candidates = text.matches(of: /[(\[]([^)\]]*)[)\]]/).flatMap { match in
            [String(match.output.1)] + match.output.1.split(separator: ",").map(String.init)
        }
        let outside = text.replacing(/[(\[][^)\]]*[)\]]/, with: " ")
        candidates.append(outside)
        let words = outside.replacing(" per ", with: "/").replacing(/\s?\/\s?/, with: "/")
            .split { $0.isWhitespace || $0 == "," || $0 == ":" || $0 == ";" }
        candidates += words.map(String.init)
        if meaning != .throughput {
            candidates += words.flatMap { $0.split(separator: "/").map(String.init) }
        }
        for candidate in candidates {
            if let unit = TableUnit(candidate, of: meaning) {
                self = unit
                return
            }
        }
        if [.errors, .success].contains(meaning), text.contains("%") {
            self = .factor(1)
            return
        }
        guard meaning.isTime, let last = ["毫秒", "微秒", "秒"].first(where: outside.contains),
            let seconds = Self.times[last]
        else { return nil }
        self = .factor(seconds)
    }

    /// Converts a number; `nil` for steps when the steps of an image are unknown.
    func base(_ value: Double, steps: Int?) -> Double? {
        switch self {
        case .factor(let factor):
            // 1267 ms are 1267 / 1000 s; a product with 0.001 is not the nearest number.
            let inverse = (1 / factor).rounded()
            return abs(inverse * factor - 1) < 1e-12 ? value / inverse : value * factor
        case .period(let factor): return value > 0 ? 1 / (value * factor) : nil
        case .steps(let factor): return steps.map { value * factor / Double($0) }
        case .stepPeriod(let factor):
            return value > 0 ? steps.map { 1 / (value * factor * Double($0)) } : nil
        }
    }

    /// Whether numbers of this unit need the steps of an image.
    var needsSteps: Bool {
        switch self {
        case .steps, .stepPeriod: true
        case .factor, .period: false
        }
    }

    private static let times: [String: Double] = [
        "ms": 1e-3, "msec": 1e-3, "msecs": 1e-3, "millis": 1e-3, "millisecond": 1e-3,
        "milliseconds": 1e-3, "毫秒": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "微秒": 1e-6,
        "s": 1, "sec": 1, "secs": 1, "second": 1, "seconds": 1, "秒": 1,
        "min": 60, "mins": 60, "minute": 60, "minutes": 60, "分钟": 60, "分": 60,
    ]
    private static let periods: [String: Double] = [
        "h": 3600, "hr": 3600, "hour": 3600, "小时": 3600, "时": 3600, "m": 60,
    ]
    private static let gigabytes: [String: Double] = [
        "tb": 1e3, "gb": 1, "g": 1, "gigabytes": 1, "gib": 1.073741824, "mb": 1e-3, "m": 1e-3,
        "mib": 1.048576e-3, "tib": 1099.511627776,
    ]
    private static let bytes: [String: Double] = [
        "b": 1, "byte": 1, "bytes": 1, "字节": 1, "kb": 1e3, "k": 1e3, "kib": 1024, "mb": 1e6,
        "m": 1e6, "mib": 1_048_576,
    ]
    private static let rates: [String: Double] = [
        "qps": 1, "rps": 1, "tps": 1, "ips": 1, "fps": 1, "qpm": 1.0 / 60, "rpm": 1.0 / 60,
        "ipm": 1.0 / 60, "张每秒": 1, "图每秒": 1, "每秒": 1, "每分钟": 1.0 / 60,
    ]
    private static let images: Set<String> = [
        "img", "imgs", "image", "images", "pic", "pics", "picture", "pictures", "req", "reqs",
        "request", "requests", "query", "queries", "张", "图", "次", "个", "请求", "sample", "samples",
    ]
    private static let iterations: Set<String> = [
        "it", "its", "iter", "iters", "iteration", "iterations", "step", "steps", "步",
    ]

    /// A rate such as `img/min`, `s/img` or `it/s`.
    private static func rate(_ text: String) -> TableUnit? {
        if let factor = rates[text] { return .factor(factor) }
        let parts = text.split(separator: "/").map(String.init)
        guard parts.count == 2 else { return nil }
        let time = { (part: String) in times[part] ?? periods[part] }
        if let seconds = time(parts[1]) {
            if images.contains(parts[0]) { return .factor(1 / seconds) }
            if iterations.contains(parts[0]) { return .steps(1 / seconds) }
        }
        if let seconds = time(parts[0]) {
            if images.contains(parts[1]) { return .period(seconds) }
            if iterations.contains(parts[1]) { return .stepPeriod(seconds) }
        }
        return nil
    }
}
