// Part of Inkstone. Licence: see LICENSE.

/// One metric with all its samples, as it is at one moment.
package struct MetricFamily: Sendable, Equatable {
    /// How the samples are to be read.
    package enum Kind: String, Sendable {
        /// Only grows.
        case counter
        /// Goes up and down.
        case gauge
        /// Counts observations by size.
        case histogram
    }

    /// A name and its value.
    package struct Label: Sendable, Hashable {
        package var name: String
        package var value: String

        package init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// One number.
    package struct Sample: Sendable, Equatable {
        /// Behind the family's name: nothing, or `_bucket`, `_sum` or `_count` of a histogram.
        package var suffix: String
        package var labels: [Label]
        package var value: Double

        package init(suffix: String = "", _ labels: [Label] = [], _ value: Double) {
            self.suffix = suffix
            self.labels = labels
            self.value = value
        }
    }

    /// Full name; that of a counter ends in `_total`.
    package var name: String
    /// One sentence with the unit.
    package var help: String
    package var kind: Kind
    package var samples: [Sample]

    /// A family of the given samples.
    package init(
        _ name: String, _ help: String, kind: Kind, samples: [Sample]
    ) {
        self.name = name
        self.help = help
        self.kind = kind
        self.samples = samples
    }

    /// The family with the same labels before those of every sample; a name that is there stays.
    package func adding(_ labels: [Label]) -> MetricFamily {
        guard !labels.isEmpty else { return self }
        var family = self
        for index in samples.indices {
            let known = Set(samples[index].labels.map(\.name))
            family.samples[index].labels.insert(
                contentsOf: labels.filter { !known.contains($0.name) }, at: 0)
        }
        return family
    }
}
