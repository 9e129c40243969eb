// Part of Inkstone. Licence: see LICENSE.
//
// Compares every kernel of the variants that this processor supports with its reference twin, and
// prints the number of checks. `run` in this folder compiles and calls it.
//
//   kernel-checks [--short] [--need VARIANT]...
//   kernel-checks --operations
//
// INKSTONE_KERNELS selects one variant, as for `inkstone`. --need fails if the variant is not
// there. --operations prints the operations of one iteration of each peak loop, for
// `count_instructions.py`.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checks.h"

static size_t check_variant(const ink_kernels *kernels, int is_short) {
    static const char *const names[] = {"f32", "bf16", "int8"};
    size_t failed = failure_count, total = check_count;
    int8_digest = 0xcbf29ce484222325u;
    printf("%-10s", kernels->name);
    for (int precision = 0; precision < 3; precision++) {
        size_t before = check_count;
        subject s = {kernels,
                     ink_kernels_reference(kernels->lanes),
                     ink_pool_create(1),
                     ink_pool_create(2),
                     (ink_precision)precision,
                     is_short};
        check_products(&s);
        check_adapters(&s);
        check_int8(&s);
        check_convolutions(&s);
        check_winograd(&s);
        check_attention(&s);
        check_rows(&s);
        check_group_norms(&s);
        check(kernels->spin(s.precision, 2) > 0, "%s: the peak loop counts nothing", kernels->name);
        ink_pool_destroy(s.one);
        ink_pool_destroy(s.two);
        printf(" %s %zu", names[precision], check_count - before);
        fflush(stdout);
    }
    printf(", %zu checks, %zu failed; int8 products %016llx\n", check_count - total,
           failure_count - failed, (unsigned long long)int8_digest);
    return check_count - total;
}

static int print_operations(void) {
    static const char *const names[] = {"f32", "bf16", "int8"};
    for (size_t i = 0; ink_kernels_available(i); i++) {
        const ink_kernels *kernels = ink_kernels_available(i);
        for (int p = 0; p < 3; p++) {
            ink_precision precision = (ink_precision)p;
            printf("%s %s %.0f\n", kernels->name, names[p],
                   kernels->spin(precision, 2) - kernels->spin(precision, 1));
        }
    }
    return 0;
}

int main(int count, char **arguments) {
    const char *only = getenv("INKSTONE_KERNELS");
    int is_short = 0;
    if (count == 2 && strcmp(arguments[1], "--operations") == 0) return print_operations();
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--short") == 0) is_short = 1;
        else if (strcmp(arguments[i], "--need") == 0 && i + 1 < count) {
            if (ink_kernels_named(arguments[++i])) continue;
            printf("the processor does not support the variant %s\n", arguments[i]);
            return 1;
        } else {
            fprintf(stderr, "usage: kernel-checks [--short] [--need VARIANT]... | --operations\n");
            return 64;
        }
    }
    uint64_t digest = 0;
    int variants = 0;
    for (size_t i = 0; ink_kernels_available(i); i++) {
        const ink_kernels *kernels = ink_kernels_available(i);
        if (only && only[0] && strcmp(only, kernels->name) != 0) continue;
        check_variant(kernels, is_short);
        if (variants++) check(digest == int8_digest, "%s: other bits in int8", kernels->name);
        digest = int8_digest;
    }
    if (variants == 0) {
        printf("INKSTONE_KERNELS=%s: the processor does not support this variant\n", only);
        return 1;
    }
    printf("%zu checks of %d variants, %zu failed\n", check_count, variants, failure_count);
    return failure_count > 0;
}
