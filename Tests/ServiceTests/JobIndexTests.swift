// Part of Inkstone. Licence: see LICENSE.

import Engine
import Service
import Testing

/// Admission and order of jobs, without tasks, files or clocks.
@Suite struct JobIndexTests {
    private func index(_ ids: String...) -> JobIndex<String> {
        var index = JobIndex<String>()
        for id in ids { index.insert(id.uppercased(), id: id, priority: .normal) }
        return index
    }

    @Test("places are counted with the jobs that are being accepted")
    func admission() {
        var index = index("a", "b")
        #expect(index.reserve(limit: 2) == false)
        let places = (0..<3).map { _ in index.reserve(limit: 4) }
        #expect(places == [true, true, false])
        index.insert("C", id: "c", priority: .normal)
        index.release()
        #expect(
            index.reserve(limit: 4) == false, "an accepted job takes the place that it reserved")
        index.release()
        #expect(index.reserve(limit: 4) == true)
    }

    @Test("jobs start by priority and age, as many as may run")
    func order() {
        var index = index("a", "b")
        index.insert("H", id: "h", priority: .high)
        #expect(index.waiting == ["H", "A", "B"])
        #expect(index.startNext(limit: 2) == "H" && index.startNext(limit: 2) == "A")
        #expect(index.startNext(limit: 2) == nil)
        #expect(Set(index.running) == ["H", "A"] && index.waiting == ["B"])
        #expect(index.all(for: .all).last == "B" && index.all(for: .all).count == 3)
        index.remove("h")
        #expect(index.startNext(limit: 2) == "B" && index.startNext(limit: 3) == nil)
    }

    @Test("a job that waits can be withdrawn, one that runs cannot")
    func withdrawing() {
        var index = index("a", "b")
        #expect(index.startNext(limit: 1) == "A")
        #expect(index.withdraw("a") == nil && index.withdraw("x") == nil)
        #expect(index.withdraw("b") == "B" && index.withdraw("b") == nil)
        #expect(index["b"] == "B", "it is there until its end is written down")
        #expect(index.startNext(limit: 5) == nil)
        index.remove("b")
        #expect(index["b"] == nil && index.ids == ["a"])
    }

    @Test("a job is found by its owner and with access to all")
    func access() {
        var index = JobIndex<Int>()
        index.insert(1, id: "job-1", owner: "ann", priority: .normal)
        index.insert(2, id: "job-2", owner: "bob", priority: .normal)
        index.insert(3, id: "job-3", priority: .normal)
        index.insert(9, id: "job-2", owner: "ann", priority: .normal)
        for (access, found) in [
            (JobAccess.owner("ann"), [1]), (.owner("bob"), [2]), (.owner(""), []), (.none, []),
            (.all, [1, 2, 3]),
        ] {
            #expect(index.all(for: access) == found)
            #expect((1...3).compactMap { index.find("job-\($0)", for: access) } == found)
        }
        _ = index.startNext(limit: 1)
        #expect(index.all(for: .all) == [1, 2, 3] && index.all(for: .owner("bob")) == [2])
        index.remove("job-1")
        index.remove("job-1")
        #expect(index.find("job-1", for: .all) == nil && index.all(for: .owner("ann")).isEmpty)
    }
}
