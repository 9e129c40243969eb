// Part of Inkstone. Licence: see LICENSE.
//
// What follows the sums of a product. The order of additions is the CPU's: adapters, bias,
// residual.
#include "activation.glsl"

/// Adds the optional terms of one element of a product.
float withTerms(float sum, uvec2 addend, uint addendAt, uvec2 bias, uint column, uvec2 residual,
                uint residualAt) {
    precise float y = sum;
    if (isPresent(addend)) y += Floats(addend).at[addendAt];
    if (isPresent(bias)) y += Floats(bias).at[column];
    if (isPresent(residual)) y += Floats(residual).at[residualAt];
    return y;
}
