// Part of Inkstone. Licence: see LICENSE.

import Basics
import Testing

@Suite("The processor's name")
struct ProcessorNameTests {
    @Test("is the first model name of an x86 processor")
    func named() {
        let text =
            "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 9B14\n"
            + "cpu MHz\t: 2600\n\nprocessor\t: 1\nmodel name\t: another\n"
        #expect(ProcessorName.parse(text) == "AMD EPYC 9B14")
    }

    @Test("is the numbers of each kind of core of an ARM processor")
    func numbered() {
        func core(_ index: Int, _ part: String) -> String {
            "processor\t: \(index)\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\n"
                + "CPU architecture: 8\nCPU part\t: \(part)\nCPU revision\t: 1\n\n"
        }
        #expect(
            ProcessorName.parse(core(0, "0xd0c") + core(1, "0xd0c"))
                == "ARM implementer 0x41, part 0xd0c")
        #expect(
            ProcessorName.parse(core(0, "0xd46") + core(1, "0xd47"))
                == "ARM implementer 0x41, part 0xd46 and ARM implementer 0x41, part 0xd47")
    }

    @Test("is not known without either")
    func absent() {
        #expect(ProcessorName.parse("") == nil)
        #expect(ProcessorName.parse("processor\t: 0\nflags\n") == nil)
    }
}
