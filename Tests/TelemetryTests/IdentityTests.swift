// Part of Inkstone. Licence: see LICENSE.

import Telemetry
import Testing

@Suite struct IdentityTests {
    @Test(
        "a client's request id is taken when it is short and harmless",
        arguments: [
            ("run-1:7/x.y_z+=", true), ("{3F2504E0}", true),
            (String(repeating: "x", count: 128), true),
            (String(repeating: "x", count: 129), false), ("", false), ("a b", false),
            ("a\"b", false), ("a\\b", false), ("a\nb", false), ("é", false), ("a\u{7F}", false),
        ])
    func requestID(id: String, isTaken: Bool) {
        #expect(RequestID.accepted(id) == (isTaken ? id : nil))
    }

    @Test("our own request ids differ and are taken by others")
    func ownRequestID() {
        let ids = (0..<100).map { _ in RequestID.make() }
        #expect(Set(ids).count == 100)
        #expect(ids.allSatisfy { RequestID.accepted($0) == $0 })
    }

    private let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    private let parent = "00f067aa0ba902b7"

    @Test("a trace goes on with a part of our own")
    func trace_() throws {
        let context = try #require(
            TraceContext(traceparent: "00-\(trace)-\(parent)-01", tracestate: "a=1,b=2"))
        #expect(context.traceID == trace && context.parentID == parent && context.flags == 1)
        #expect(context.state == "a=1,b=2")
        #expect(context.spanID != parent && context.spanID.count == 16)
        #expect(context.traceparent == "00-\(trace)-\(context.spanID)-01")
    }

    @Test("of later versions the first four parts are read")
    func laterVersion() throws {
        let context = try #require(
            TraceContext(traceparent: "cc-\(trace)-\(parent)-09-what-ever", tracestate: nil))
        #expect(context.traceID == trace && context.flags == 1)
    }

    @Test("without a header there is no trace")
    func absent() {
        #expect(TraceContext(traceparent: nil, tracestate: "a=1") == nil)
    }

    @Test("a malformed header begins a new trace, and its state is left out")
    func malformed() throws {
        let zeros = String(repeating: "0", count: 32)
        let headers = [
            "", "00", "00-\(trace)-\(parent)", "00-\(trace)-\(parent)-01-more",
            "ff-\(trace)-\(parent)-01", "00-\(trace.uppercased())-\(parent)-01",
            "00-\(zeros)-\(parent)-01", "00-\(trace)-0000000000000000-01",
            "00-\(trace.dropLast())-\(parent)-01", "00-\(trace)-\(parent)-0g",
            "0x-\(trace)-\(parent)-01",
        ]
        for header in headers {
            let context = try #require(TraceContext(traceparent: header, tracestate: "a=1"))
            #expect(context.traceID != trace && context.parentID == nil, "\(header)")
            #expect(context.traceID.count == 32 && context.state == nil)
        }
    }

    @Test("a state of too many entries is not handed on")
    func hugeState() throws {
        let many = (0..<33).map { "k\($0)=v" }.joined(separator: ",")
        let context = try #require(
            TraceContext(traceparent: "00-\(trace)-\(parent)-00", tracestate: many))
        #expect(context.traceID == trace && context.state == nil)
    }
}
