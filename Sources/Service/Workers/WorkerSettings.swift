// Part of Inkstone. Licence: see LICENSE.

package import Foundation

/// How a pool starts, watches and replaces workers.
package struct WorkerSettings: Sendable {
    /// The program whose `worker` command is run.
    package var program: String
    /// Where the pool makes its folder of sockets.
    package var temporaryFolder: URL
    /// Workers that are going to share the machine's processors, where that is known before.
    package var expectedWorkers = 1
    /// Bytes that all models together may take, if there is a limit.
    package var memoryBudget: Int?
    /// Time without requests after which a model's workers end; the next request starts them.
    package var idleUnload: Duration?
    /// Time without progress after which a worker that has requests is killed.
    package var hangTimeout = Duration.seconds(300)
    /// The longest time that loading may take.
    package var startTimeout = Duration.seconds(1800)
    /// Attempts to start a worker before the requests that wait for it fail.
    package var startAttempts = 5
    /// How often a request is run again that lost its worker.
    package var reruns = 3
    /// Pause before the third start in a row; each further one is twice as long.
    package var firstPause = Duration.milliseconds(250)
    /// The longest pause between two starts.
    package var longestPause = Duration.seconds(30)
    /// A worker that ran for so long, or finished a request, was healthy: the next pause is the first.
    package var healthyAfter = Duration.seconds(10)

    /// Runs this program.
    package init() {
        #if os(Linux)
            // The file of the running program, also after another version has replaced it.
            program = "/proc/self/exe"
        #else
            program = Bundle.main.executablePath ?? CommandLine.arguments[0]
        #endif
        temporaryFolder = FileManager.default.temporaryDirectory
    }

    /// How long to wait before a start.
    ///
    /// - Parameter failures: how many workers in a row ended without having been healthy.
    /// - Returns: a pause that doubles from the second failure on, up to the longest.
    package func pause(after failures: Int) -> Duration {
        guard failures > 1 else { return .zero }
        return min(longestPause, firstPause * (1 << min(failures - 2, 20)))
    }
}
