// Part of Inkstone. Licence: see LICENSE.

#include <stdlib.h>

#include "variants.h"

#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

typedef struct {
    const char *name;
    const ink_kernels *(*table)(void);
    int (*runs_here)(void);
} variant;

#if defined(__x86_64__)
static int has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
static int has_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
static int has_avxvnni(void) { return has_avx2() && __builtin_cpu_supports("avxvnni"); }
static int has_avx512vnni(void) { return has_avx512() && __builtin_cpu_supports("avx512vnni"); }
// Every processor with AVX512-BF16 has AVX512-VNNI.
static int has_avx512bf16(void) { return has_avx512vnni() && __builtin_cpu_supports("avx512bf16"); }
#elif defined(__aarch64__)
#if defined(__linux__)
// Bits of older kernels' headers may be missing.
#ifndef HWCAP2_I8MM
#define HWCAP2_I8MM (1 << 13)
#endif
#ifndef HWCAP2_BF16
#define HWCAP2_BF16 (1 << 14)
#endif
static int has_dotprod(void) { return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0; }
static int has_i8mm(void) { return (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0; }
static int has_bf16(void) { return (getauxval(AT_HWCAP2) & HWCAP2_BF16) != 0; }
#elif defined(__APPLE__)
static int has_feature(const char *name) {
    int value = 0;
    size_t size = sizeof value;
    return sysctlbyname(name, &value, &size, NULL, 0) == 0 && value != 0;
}
static int has_dotprod(void) { return has_feature("hw.optional.arm.FEAT_DotProd"); }
static int has_i8mm(void) { return has_feature("hw.optional.arm.FEAT_I8MM"); }
static int has_bf16(void) { return has_feature("hw.optional.arm.FEAT_BF16"); }
#else
static int has_dotprod(void) { return 0; }
static int has_i8mm(void) { return 0; }
static int has_bf16(void) { return 0; }
#endif
static int has_neondot(void) { return has_dotprod(); }
static int has_neoni8mm(void) { return has_dotprod() && has_i8mm(); }
static int has_neonbf16(void) { return has_neoni8mm() && has_bf16(); }
#endif
static int always(void) { return 1; }

// Fastest first.
static const variant variants[] = {
#if defined(__x86_64__)
    {"avx512bf16", ink_variant_avx512bf16, has_avx512bf16},
    {"avx512vnni", ink_variant_avx512vnni, has_avx512vnni},
    {"avx512", ink_variant_avx512, has_avx512},
    {"avxvnni", ink_variant_avxvnni, has_avxvnni},
    {"avx2", ink_variant_avx2, has_avx2},
#elif defined(__aarch64__)
    {"neonbf16", ink_variant_neonbf16, has_neonbf16},
    {"neoni8mm", ink_variant_neoni8mm, has_neoni8mm},
    {"neondot", ink_variant_neondot, has_neondot},
    {"neon", ink_variant_neon, always},
#endif
    {"portable", ink_variant_portable, always},
};

enum { VARIANTS = sizeof variants / sizeof variants[0] };

const ink_kernels *ink_kernels_available(size_t index) {
    for (size_t i = 0; i < VARIANTS; i++)
        if (variants[i].runs_here() && index-- == 0) return variants[i].table();
    return NULL;
}

const ink_kernels *ink_kernels_named(const char *name) {
    for (size_t i = 0; i < VARIANTS; i++)
        if (strcmp(variants[i].name, name) == 0 && variants[i].runs_here())
            return variants[i].table();
    return NULL;
}

const ink_kernels *ink_kernels_default(void) {
    const char *name = getenv("INKSTONE_KERNELS");
    const ink_kernels *named = name ? ink_kernels_named(name) : NULL;
    return named ? named : ink_kernels_available(0);
}

size_t ink_group_norm_scratch(size_t pixels, size_t channels) {
    return 2 * channels * 4 * ((pixels + GROUP_NORM_PIXELS - 1) / GROUP_NORM_PIXELS);
}
