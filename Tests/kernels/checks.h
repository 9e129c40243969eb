// Part of Inkstone. Licence: see LICENSE.
//
// Comparison of a variant's kernels with their reference twins.

#pragma once

#include <stddef.h>
#include <stdint.h>

#include "CKernels.h"

/// A variant with a precision, and what it is compared with.
typedef struct {
    const ink_kernels *fast, *twin;
    ink_pool *one, *two;  // pools of one and of two threads
    ink_precision precision;
    int is_short;
} subject;

/// A matrix of f32, or an operand of a product.
typedef struct {
    void *data;
    size_t rows, columns, stride;
    ink_precision precision;
} matrix;

/// Computes a case with one set of kernels, and returns the result as f32 in memory of `allocate`.
typedef float *(*computation)(const ink_kernels *kernels, ink_pool *pool, const void *parameters);

/// Number of checks so far, and of those that failed.
extern size_t check_count, failure_count;

/// Counts one check; prints the text if it fails.
void check(int holds, const char *format, ...) __attribute__((format(printf, 2, 3)));

/// Memory of NaN between guards of NaN, 64-byte aligned. Reads of the guards give NaN, and writes
/// are found by `release_all`.
void *allocate(size_t bytes);
/// Frees all memory and checks its guards.
void release_all(const char *name);

/// `count` numbers of unit variance that depend on the seed alone, the same on every machine.
float *numbers(size_t count, uint32_t seed);

/// An operand or, in f32 with `is_values`, a matrix without padding; filled with NaN.
matrix make_matrix(size_t rows, size_t columns, ink_precision precision);
/// Converts f32 rows to an operand with the kernels' own conversion.
matrix make_operand(const ink_kernels *kernels, ink_pool *pool, const float *x, size_t rows,
                    size_t columns, ink_precision precision);
/// The elements of an operand as f32. Checks that its padding is zero and the memory behind is
/// unchanged.
float *read_matrix(const ink_kernels *kernels, const matrix *from);
ink_output output_of(const matrix *to);
ink_operand operand_of(const matrix *from);

/// Packs rows of [depth][taps] numbers. With `is_gated`, the first half of the rows are gates,
/// stored beside those of the second half. A bias has one number for each row.
ink_matrix pack_weights(const ink_kernels *kernels, ink_pool *pool, const float *rows, size_t count,
                        size_t depth, size_t taps, ink_precision precision, int is_gated,
                        const float *bias);

/// Compares the variant with its twin, one thread with two, and the guards. The tolerance is
/// relative to the largest magnitude. Returns the variant's result, valid until the next case.
void compare(const subject *subject, const char *name, computation compute, const void *parameters,
             size_t count, double tolerance);

/// The tolerance of `Tests/TensorsTests/KernelTests.swift` for sums in f32, times `scale`.
double tolerance_of(const subject *subject, double scale);
/// The same for results that are rounded to the precision's operand.
double rounded_tolerance(const subject *subject, double scale);

/// A number that identifies the bits of all int8 products so far.
extern uint64_t int8_digest;

void check_products(const subject *subject);
void check_adapters(const subject *subject);
void check_int8(const subject *subject);
void check_convolutions(const subject *subject);
void check_winograd(const subject *subject);
void check_attention(const subject *subject);
void check_rows(const subject *subject);
void check_group_norms(const subject *subject);
