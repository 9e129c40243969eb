// Part of Inkstone. Licence: see LICENSE.

import Engine
import Fleet
import Testing

/// Names in NATS.
struct FleetNamesTests {
    @Test func onlyWhatSubjectsAllow() {
        #expect(FleetNames.token("emoji-nano") == "emoji-nano")
        #expect(FleetNames.token("a.b/c *>") == "a=2eb=2fc=20=2a=3e")
        #expect(FleetNames.token("é=") == "=c3=a9=3d")
        #expect(FleetNames.queue("z.1", .normal) == "inkstone-queue-z=2e1-normal")
        #expect(FleetNames.queueSubject("z.1", .high) == "inkstone.queue.z=2e1.high")
    }

    @Test func addresses() throws {
        let many = try NATSAddress("nats://a:4222, tls://user:word@b")
        #expect(many.servers == ["nats://a:4222", "tls://user:word@b"] && many.isEncrypted)
        #expect(many.shown == "nats://a:4222,tls://b")
        #expect(try !NATSAddress("nats://a").isEncrypted)
    }

    @Test(arguments: ["", "localhost", "http://a", "nats://", "nats:/a", "nats://a b"])
    func whatIsNone(text: String) {
        #expect(throws: NATSAddressError.self) { try NATSAddress(text) }
    }

    @Test func partsOfFiles() {
        #expect(StoredFile(digest: "", size: 0).parts(of: 10) == [0..<0])
        #expect(StoredFile(digest: "", size: 10).parts(of: 10) == [0..<10])
        #expect(StoredFile(digest: "", size: 25).parts(of: 10) == [0..<10, 10..<20, 20..<25])
    }
}
