// Part of Inkstone. Licence: see LICENSE.

/// Version of the program.
public let version = "0.1.0"
