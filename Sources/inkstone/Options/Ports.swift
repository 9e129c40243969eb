// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser

/// Validates port numbers, which must differ; 0 lets the system choose.
func checkPorts(_ port: Int, _ pagePort: Int) throws(ValidationError) {
    for (name, value) in [("--port", port), ("--page-port", pagePort)] {
        try check(name, value, in: 0...65535)
    }
    guard port != pagePort || port == 0 else {
        throw ValidationError("--port and --page-port must differ, got \(port) for both.")
    }
}
