// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// A pseudo-terminal: what a program writes to it is read here, as a person's screen gets it.
final class Terminal {
    /// The end that the program writes to.
    let program: FileHandle
    private let screen: Int32
    private var received: [UInt8] = []

    /// All that was written so far.
    var text: String { String(decoding: received, as: UTF8.self) }

    /// Whether this machine has pseudo-terminals; a bare container may not.
    static var isAvailable: Bool { access("/dev/ptmx", R_OK | W_OK) == 0 }

    init() throws {
        screen = open("/dev/ptmx", O_RDWR | O_NOCTTY)
        guard screen >= 0 else { throw POSIXError(.ENXIO) }
        let descriptor = open(try Self.unlock(screen), O_RDWR | O_NOCTTY)
        guard descriptor >= 0 else { throw POSIXError(.ENXIO) }
        var size = winsize(ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0)
        _ = ioctl(descriptor, UInt(TIOCSWINSZ), &size)
        program = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }

    /// Unlocks the program's side and returns its path.
    private static func unlock(_ screen: Int32) throws -> String {
        #if canImport(Glibc)
            // TIOCSPTLCK and TIOCGPTN of <asm-generic/ioctls.h>: the C library's own functions for
            // this are hidden from Swift.
            var isLocked: Int32 = 0
            var number: UInt32 = 0
            guard ioctl(screen, 0x4004_5431, &isLocked) == 0,
                ioctl(screen, 0x8004_5430, &number) == 0
            else { throw POSIXError(.ENXIO) }
            return "/dev/pts/\(number)"
        #else
            guard grantpt(screen) == 0, unlockpt(screen) == 0, let name = ptsname(screen) else {
                throw POSIXError(.ENXIO)
            }
            return String(cString: name)
        #endif
    }

    deinit { close(screen) }

    /// Reads until the text so far is as wanted, the program is gone, or time is up.
    ///
    /// Returns whether the text became as wanted.
    @discardableResult
    func read(seconds: Double, until isDone: (String) -> Bool) -> Bool {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while !isDone(text) {
            guard ContinuousClock.now < deadline else { return false }
            if receive(waitMilliseconds: 100) == .end { return false }
        }
        return true
    }

    /// Reads what the program has written so far.
    func drain() {
        while receive(waitMilliseconds: 0) == .text {}
    }

    private enum Received { case text, nothing, end }

    private func receive(waitMilliseconds: Int32) -> Received {
        var state = pollfd(fd: screen, events: Int16(POLLIN), revents: 0)
        guard poll(&state, 1, waitMilliseconds) >= 0 else {
            return errno == EINTR ? .nothing : .end
        }
        guard Int32(state.revents) & POLLIN != 0 else {
            return Int32(state.revents) & POLLHUP != 0 ? .end : .nothing
        }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = Foundation.read(screen, &bytes, bytes.count)
        guard count > 0 else { return .end }
        received += bytes[..<count]
        return .text
    }

    /// The last step that the progress line shows.
    var step: Int? {
        text.matches(of: #/(\d+)/\d+ +[\d.]/#).last.flatMap { Int($0.output.1) }
    }
}
