// Part of Inkstone. Licence: see LICENSE.
//
// Types that all shaders share. A buffer is an address in the push constants; there are no
// descriptors. Optional buffers are declared as `uvec2` there, and are absent if that is zero.
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_scalar_block_layout : require

layout(buffer_reference, scalar) readonly buffer Floats { float at[]; };
layout(buffer_reference, scalar) buffer MutableFloats { float at[]; };
layout(buffer_reference, scalar, buffer_reference_align = 16) readonly buffer Float4s {
    vec4 at[];
};
layout(buffer_reference, scalar) readonly buffer Words { uint at[]; };
/// The lowest row in which a value was not finite.
layout(buffer_reference, scalar) buffer Guard { int row; };

bool isPresent(uvec2 address) { return (address.x | address.y) != 0; }

/// Returns an address if it is present, else another one, for loads whose result is ignored in that
/// case. Needed where all threads load one number: lavapipe does so even in a branch that is not
/// taken.
uvec2 presentOr(uvec2 address, uvec2 other) { return isPresent(address) ? address : other; }

/// Whether x is neither infinite nor NaN. Compares bits, since compilers may assume that no NaN
/// occurs.
bool isFinite(float x) { return (floatBitsToUint(x) & 0x7f800000u) != 0x7f800000u; }

/// Index of the workgroup where groups are counted along x, then y: one axis may be limited to
/// 65535. The host rounds up, so that groups past the end exist; they must not write.
uint linearGroup() { return gl_WorkGroupID.x + gl_NumWorkGroups.x * gl_WorkGroupID.y; }

/// Records that `row` has a value that is not finite.
void report(uvec2 guard, uint row) {
    if (isPresent(guard)) atomicMin(Guard(guard).row, int(row));
}
