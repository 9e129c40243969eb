// Part of Inkstone. Licence: see LICENSE.

/// Queries of one workgroup of attention. Rows are rows of qkv, `outRow` of the result.
struct Tile {
    uint firstKey;
    uint keys;
    uint firstQuery;
    uint queries;
    uint outRow;
    uint segment;
};
layout(buffer_reference, scalar) readonly buffer Tiles { Tile at[]; };
