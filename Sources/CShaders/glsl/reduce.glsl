// Part of Inkstone. Licence: see LICENSE.
//
// Sums and maxima over a workgroup of THREADS (a power of two, defined before this file is
// included) in one fixed order: a binary tree over the threads.

shared float reduction[THREADS];

/// Returns the sum of all threads' x. Must be called by all threads.
float sumOfGroup(float x) {
    const uint thread = gl_LocalInvocationIndex;
    barrier();  // the result of an earlier sum has been read
    reduction[thread] = x;
    barrier();
    for (uint distance = THREADS / 2; distance > 0; distance /= 2) {
        if (thread < distance) reduction[thread] += reduction[thread + distance];
        barrier();
    }
    return reduction[0];
}

/// Returns the largest of all threads' x. Must be called by all threads.
uint maxOfGroup(uint x) {
    const uint thread = gl_LocalInvocationIndex;
    barrier();
    reduction[thread] = uintBitsToFloat(x);
    barrier();
    for (uint distance = THREADS / 2; distance > 0; distance /= 2) {
        if (thread < distance) {
            const uint other = floatBitsToUint(reduction[thread + distance]);
            reduction[thread] = uintBitsToFloat(max(floatBitsToUint(reduction[thread]), other));
        }
        barrier();
    }
    return floatBitsToUint(reduction[0]);
}
