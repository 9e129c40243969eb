// Part of Inkstone. Licence: see LICENSE.

import Gateway
import Service
import Testing

@Suite("Signed URLs")
struct SignedURLTests {
    private let permit = LinkSigner.Permit(expires: 1_800_000_000, key: "key-1", signature: "ab")

    @Test("a permit is read from where it was written, and the rest is what it is for")
    func roundTrips() {
        for resource in ["/v1/images/files/job-1-0.png", "/a?quality=80", "/a?b=1&c=%20"] {
            let text = SignedURL.address(of: resource, permit)
            let parts = text.split(separator: "?", maxSplits: 1)
            let read = SignedURL(path: String(parts[0]), query: String(parts[1]))
            #expect(read.resource == resource && read.permit == permit)
        }
        let path = SignedURL.path(ofFile: "jobs/job-1/0.png", permit)
        let read = SignedURL(path: "/gradio_api/file=" + path, query: "")
        #expect(read.resource == SignedURL.resource(ofFile: "jobs/job-1/0.png"))
        #expect(read.permit == permit && read.filePath == "jobs/job-1/0.png")
    }

    @Test("without a permit the whole address is the resource")
    func plain() {
        let plain = SignedURL(path: "/v1/images/files/a.png", query: "quality=3")
        #expect(plain.resource == "/v1/images/files/a.png?quality=3" && plain.permit == nil)
        #expect(plain.filePath == nil)
        let file = SignedURL(path: "/gradio_api/file=jobs%2Fa/0.png", query: "")
        #expect(file.permit == nil && file.filePath == "jobs/a/0.png")
        // Too short to have one.
        #expect(SignedURL(path: "/gradio_api/file=signed/1/a.png", query: "").permit == nil)
    }

    @Test("an altered permit is one that was never made, or part of the resource")
    func malformed() {
        for query in ["expires=1", "key=a", "signature=", "expires=01&key=a&signature=b"] {
            #expect(SignedURL(path: "/a", query: query).permit?.signature == "", "\(query)")
        }
        let again = SignedURL(path: "/a", query: "expires=1&key=a&signature=b&key=c")
        #expect(again.resource == "/a?key=c" && again.permit?.key == "a")
    }
}
