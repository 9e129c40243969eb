// Part of Inkstone. Licence: see LICENSE.

extension String {
    /// Returns the name without an ending such as `.safetensors`, in any case; `nil` if it has another, or nothing before it.
    package func withoutEnding(_ ending: String) -> String? {
        count > ending.count && suffix(ending.count).lowercased() == ending
            ? String(dropLast(ending.count)) : nil
    }
}
