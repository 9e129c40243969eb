// Part of Inkstone. Licence: see LICENSE.

import Engine
import Fleet
import Foundation
import Service
import Testing

/// What a gateway knows of the jobs of a fleet, without a fleet.
struct FleetIndexTests {
    private func job(
        _ id: String, at created: Double, _ priority: Priority = .normal, owner: String? = nil,
        name: String? = nil, deadline: Double? = nil
    ) throws -> FleetJob {
        var draft = ImageRequest.Draft(prompt: "Fish \(id)")
        draft.priority = priority
        var job = FleetJob(
            id: id, model: "m", request: try ImageRequest(draft, for: .small), requestID: name,
            owner: owner, created: created)
        job.deadline = deadline
        job.gateway = "other"
        return job
    }

    private func index(_ jobs: FleetJob...) -> FleetIndex {
        var index = FleetIndex(gateway: "here")
        for job in jobs { index.update(job, revision: 1, at: 0) }
        return index
    }

    @Test func anOlderRevisionChangesNothing() throws {
        let queued = try job("a", at: 1)
        var index = index(queued)
        let begun = try #require(queued.begun(by: "w", at: 2, limit: 1))
        let first = index.update(begun, revision: 3, at: 2)
        #expect(first.isNew && first.changesPlaces)
        let late = index.update(queued, revision: 2, at: 2)
        #expect(!late.isNew && index["a"]?.job.state == .running)
        #expect(index.counts == (0, 1) && index.openCount == 1 && index.running.count == 1)
    }

    @Test func placesFollowPriorityAndAge() throws {
        var index = index(
            try job("n2", at: 2), try job("n1", at: 1), try job("l", at: 0, .low),
            try job("h", at: 9, .high))
        #expect(index.waitingIDs(of: "m") == ["h", "n1", "n2", "l"])
        #expect(index.waiting.map(\.id) == ["h", "n1", "n2", "l"])
        #expect(index.place(of: try job("new", at: 10)) == 3)
        #expect(index.place(of: try job("n2", at: 2)) == 2, "its own place does not count")
        index.remove("n1")
        #expect(index.waitingIDs(of: "m") == ["h", "n2", "l"] && index.waitingIDs(of: "x").isEmpty)
    }

    @Test func deadlinesAndAgesAreDueInOrder() throws {
        var index = index(
            try job("a", at: 1, deadline: 50), try job("b", at: 2, deadline: 40),
            try job("c", at: 3))
        #expect(index.nextDue(keeping: 100) == 40)
        #expect(index.overdue(at: 39).isEmpty && index.overdue(at: 50).map(\.id) == ["b", "a"])
        for (id, time) in [("b", 41.0), ("a", 51)] {
            let known = try #require(index[id])
            index.update(
                try #require(
                    known.job.ended(
                        JobEnd(.cancelled, time: Date(timeIntervalSince1970: time)))), revision: 2,
                at: time)
        }
        #expect(index.overdue(at: 1000).isEmpty)
        #expect(index.nextDue(keeping: 100) == 141 && index.nextDue(keeping: 0) == nil)
        index.removeFinished(before: 51)
        #expect(index["b"] == nil && index["a"] != nil && index["c"] != nil)
    }

    @Test func aNameStandsForItsNewestJob() throws {
        var index = index(try job("a", at: 1, name: "call"), try job("b", at: 2, name: "call"))
        #expect(index.find("call", for: .all)?.id == "b" && index.find("a", for: .all)?.id == "a")
        index.remove("b")
        #expect(index.find("call", for: .all)?.id == "a")
        index.remove("a")
        #expect(index.find("call", for: .all) == nil)
    }

    @Test func namesBelongToAnOwner() throws {
        var index = index(
            try job("a", at: 1, owner: "ann", name: "call"),
            try job("b", at: 2, owner: "bob", name: "call"),
            try job("c", at: 3, owner: "ann", name: "a"), try job("d", at: 4, name: "call"),
            // A call that is named like another owner's job.
            try job("e", at: 5, owner: "bob", name: "a"))
        let (ann, bob) = (JobAccess.owner("ann"), JobAccess.owner("bob"))
        #expect(index.find("call", for: ann)?.id == "a" && index.find("call", for: bob)?.id == "b")
        #expect(index.find("call", for: .all)?.id == "d")
        #expect(index.find("a", for: ann)?.id == "a" && index.find("a", for: bob)?.id == "e")
        #expect(index.find("b", for: ann) == nil && index.find("d", for: ann) == nil)
        #expect(index.find("a", for: .none) == nil)
        #expect(index.jobs(JobQuery(ann)).map(\.id) == ["c", "a"])
        #expect(index.jobs(JobQuery(ann, before: "b")).isEmpty, "a page begins at an own job")
        let begun = try #require(index["a"]?.job.begun(by: "w", at: 2, limit: 1))
        index.update(begun, revision: 2, at: 2)
        #expect(index.find("call", for: ann)?.state == .running)
        index.remove("e")
        #expect(index.find("a", for: bob) == nil)
    }

    @Test func filesAreUsedUntilTheirLastJobGoes() throws {
        func finished(_ id: String) throws -> FleetJob {
            let begun = try #require(try job(id, at: 1).begun(by: "w", at: 1, limit: 1))
            return try #require(
                begun.adding(
                    FleetJob.Image(
                        index: 0, seed: 1, pixelDigest: "d",
                        file: StoredFile(digest: "f", size: 1), promptTruncated: false,
                        seconds: Timings(text: 0, steps: [], decode: 0, total: 0), loras: []),
                    attempt: 1, at: 2))
        }
        var index = index(try finished("a"), try finished("b"))
        index.remove("a")
        #expect(index.uses(file: "f"))
        index.remove("b")
        #expect(!index.uses(file: "f"))
    }

    @Test func queriesGoPageByPage() throws {
        var index = FleetIndex(gateway: "here")
        for number in 0..<5 {
            index.update(
                try job("\(number)", at: Double(number), owner: number < 2 ? "ann" : "bob"),
                revision: 1, at: 0)
        }
        #expect(index.jobs(JobQuery(.all, limit: 2)).map(\.id) == ["4", "3"])
        #expect(index.jobs(JobQuery(.all, before: "3", limit: 2)).map(\.id) == ["2", "1"])
        #expect(index.jobs(JobQuery(.owner("ann"))).map(\.id) == ["1", "0"])
        #expect(index.jobs(JobQuery(.all, text: "fish 4")).map(\.id) == ["4"])
        #expect(index.jobs(JobQuery(.all, text: "4 FISH")).map(\.id) == ["4"])
        #expect(index.jobs(JobQuery(.all, states: [.failed])).isEmpty)
    }

    @Test func jobsOfOtherGatewaysCountForAMinute() throws {
        var index = FleetIndex(gateway: "here")
        index.update(try job("a", at: 100, owner: "ann"), revision: 1, at: 110)
        index.update(try job("old", at: 10, owner: "ann"), revision: 1, at: 110)
        var own = try job("own", at: 105, owner: "ann")
        own.gateway = "here"
        index.update(own, revision: 1, at: 110)
        let elsewhere = index.elsewhere("ann", at: 120)
        #expect(elsewhere.running == 2 && elsewhere.recent == [.seconds(20)])
        #expect(index.elsewhere("ann", at: 161).recent.isEmpty)
        #expect(index.elsewhere("bob", at: 120).running == 0)
    }
}
