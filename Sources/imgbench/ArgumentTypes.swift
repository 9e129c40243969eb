// Part of Inkstone. Licence: see LICENSE.

public import ArgumentParser
public import LoadTesting

extension Dialect: ExpressibleByArgument {
    /// Parses the name of a dialect.
    public init?(argument: String) { self.init(rawValue: argument) }
}

extension Manifest.Sweep: ExpressibleByArgument {
    /// Parses the name of a sweep.
    public init?(argument: String) { self.init(rawValue: argument) }
}

extension MockFault: ExpressibleByArgument {}

extension RunReporter.Format: ExpressibleByArgument {}

extension Scenario.Order: ExpressibleByArgument {}
