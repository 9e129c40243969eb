// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Service
import Testing

/// The secret of links on the disk, and signatures.
@Suite("Signed links")
struct LinkSignerTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test("a secret is made once, for its owner only, however many begin at once")
    func secret() async throws {
        let url = folder.url
        let signatures = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<16 {
                group.addTask {
                    try LinkSigner(folder: url).permit("a", key: "k", expires: 1).signature
                }
            }
            return try await group.reduce(into: Set()) { $0.insert($1) }
        }
        #expect(signatures.count == 1)
        #expect(try FileManager.default.contentsOfDirectory(atPath: url.path) == ["link-secret"])
        let file = url.appending(path: "link-secret").path
        let attributes = try FileManager.default.attributesOfItem(atPath: file)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        #expect(attributes[.size] as? Int == 32)
        #expect(
            LinkSigner.temporary.permit("a", key: "k", expires: 1).signature != signatures.first)
    }

    @Test("a damaged secret is reported, not replaced", arguments: [0, 31, 33])
    func damaged(count: Int) throws {
        let file = folder.url.appending(path: "link-secret")
        try Data(count: count).write(to: file)
        let error = #expect(throws: KeyError.self) { _ = try LinkSigner(folder: folder.url) }
        #expect(error?.code == .file)
        #expect(try Data(contentsOf: file).count == count)
    }

    @Test("a signature holds for exactly what was signed")
    func signatures() throws {
        let signer = LinkSigner(secret: [UInt8](repeating: 7, count: 32))
        let permit = signer.permit("image a", key: "ann", expires: 100)
        #expect(signer.made(permit, for: "image a"))
        #expect(!signer.made(permit, for: "image b"))
        #expect(!LinkSigner(secret: [UInt8](repeating: 8, count: 32)).made(permit, for: "image a"))
        var wrong: [LinkSigner.Permit] = []
        for change: (inout LinkSigner.Permit) -> Void in [
            { $0.expires += 1 }, { $0.key = "bob" }, { $0.signature = "" },
            { $0.signature.removeLast() }, { $0.signature += "0" },
            { $0.signature = $0.signature.uppercased() },
        ] {
            var other = permit
            change(&other)
            wrong.append(other)
        }
        #expect(wrong.allSatisfy { !signer.made($0, for: "image a") })
        // A part of one value that moves into another makes another text.
        let moved = signer.permit("1\nx", key: "a", expires: 1)
        #expect(
            !signer.made(
                .init(expires: 1, key: "a\n1", signature: moved.signature), for: "x"))
    }
}
