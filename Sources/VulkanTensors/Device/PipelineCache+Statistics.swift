// Part of Inkstone. Licence: see LICENSE.

import CVulkan

extension PipelineCache {
    /// Returns what the driver reports about a kernel, by the driver's names; empty if it reports nothing.
    func statistics(of kernel: Kernel) throws(VulkanError) -> [String: Double] {
        let functions = device.functions
        guard device.capturesStatistics, let list = functions.vkGetPipelineExecutableStatisticsKHR
        else { return [:] }
        let pipeline = try pipeline(for: kernel)
        return withArguments { memory in
            let info = memory.make(VkPipelineExecutableInfoKHR.self) {
                $0.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR
                $0.pipeline = pipeline
            }
            var count: UInt32 = 0
            guard list(device.handle, info, &count, nil) == VK_SUCCESS, count > 0 else {
                return [:]
            }
            let statistics = memory.make(VkPipelineExecutableStatisticKHR.self, count: Int(count)) {
                $0.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR
            }
            guard list(device.handle, info, &count, statistics) == VK_SUCCESS else { return [:] }
            return Dictionary(
                (0..<Int(count)).map { (text(of: statistics[$0].name), statistics[$0].number) },
                uniquingKeysWith: { first, _ in first })
        }
    }
}

extension VkPipelineExecutableStatisticKHR {
    fileprivate var number: Double {
        switch format {
        case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR: Double(value.b32)
        case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR: Double(value.i64)
        case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_FLOAT64_KHR: value.f64
        default: Double(value.u64)
        }
    }
}
