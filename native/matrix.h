// Products of sixteen rows at once by AMX, where the unit is compiled for it: tiles of 16 rows of 64 bytes.
#pragma once

#include "tile.h"

namespace TG_ISA {

#if defined(__AMX_BF16__)
template <class M> constexpr bool BY_MATRIX = HELD<M> == 2;
#else
template <class M> constexpr bool BY_MATRIX = false;
#endif
constexpr int64_t SIDE = 16; // rows of a tile, and factors in each

// Factors of a row of numbers as it is multiplied; tiles are filled up with zeros.
template <class M> INLINE int64_t depth_of(int64_t numbers) {
    const int64_t depth = factors<M>(numbers);
    return BY_MATRIX<M> ? (depth + SIDE - 1) / SIDE * SIDE : depth;
}

// `rows` in groups of nearly equal height, at most SIDE: calls f(first, height).
template <class F> INLINE void groups(int64_t rows, F f) {
    const int64_t count = (rows + SIDE - 1) / SIDE;
    int64_t first = 0;
    for (int64_t i = 0; i < count; ++i) {
        const int64_t height = (rows - first + count - i - 1) / (count - i);
        f(first, height);
        first += height;
    }
}

// A depth in stretches of which a panel stays in the first cache for all rows, 32 KiB: calls f(first, depth).
template <class F> INLINE void stretches(int64_t depth, F f) {
    constexpr int64_t STAYS = 128;
    for (int64_t k = 0; k < depth; k += STAYS) f(k, depth - k < STAYS ? depth - k : STAYS);
}

template <class M> class Matrix {}; // where BY_MATRIX<M> is false
#if defined(__AMX_BF16__)
// The sums of `height` rows by V vectors in tiles 0 to V - 1; tile 4 holds the rows, 5 to 7 the panel's vectors.
template <> class Matrix<Pair> {
  public:
    Matrix() = default;
    Matrix(const Matrix &) = delete;
    ~Matrix() { _tile_release(); }

    void set_height(int64_t height) {
        if (height == shaped) return;
        shaped = height;
        struct alignas(64) {
            uint8_t palette, start, unused[14];
            uint16_t bytes[16];
            uint8_t rows[16];
        } shape = {};
        shape.palette = 1;
        for (int tile = 0; tile < 8; ++tile) shape.bytes[tile] = 64, shape.rows[tile] = uint8_t(tile < 5 ? height : SIDE);
        _tile_loadconfig(&shape);
    }
    // From rows of sums `stride` apart; 0: all from the same.
    template <int V> INLINE void load(const float *from, int64_t stride) {
        written();
        stride *= int64_t(sizeof(float));
        _tile_loadd(0, from, stride);
        if constexpr (V > 1) _tile_loadd(1, from + SIDE, stride);
        if constexpr (V > 2) _tile_loadd(2, from + 2 * SIDE, stride);
        if constexpr (V > 3) _tile_loadd(3, from + 3 * SIDE, stride);
    }
    template <int V> INLINE void clear() {
        _tile_zero(0);
        if constexpr (V > 1) _tile_zero(1);
        if constexpr (V > 2) _tile_zero(2);
        if constexpr (V > 3) _tile_zero(3);
    }
    // sums += a b. a: rows `stride` apart, sixteen factors of each from `next` to `next`; b: a panel.
    template <int V> INLINE void multiply(int64_t depth, const Pair *a, int64_t stride, const Pair *b, int64_t next = SIDE) {
        written();
        stride *= int64_t(sizeof(Pair));
        constexpr int64_t LINE = V * SIDE * int64_t(sizeof(Pair));
        for (int64_t k = 0; k < depth; k += SIDE, a += next, b += SIDE * V * SIDE) {
            _tile_loadd(4, a, stride);
            _tile_loadd(5, b, LINE);
            _tile_dpbf16ps(0, 4, 5);
            if constexpr (V > 1) {
                _tile_loadd(6, b + SIDE, LINE);
                _tile_dpbf16ps(1, 4, 6);
            }
            if constexpr (V > 2) {
                _tile_loadd(7, b + 2 * SIDE, LINE);
                _tile_dpbf16ps(2, 4, 7);
            }
            if constexpr (V > 3) {
                _tile_loadd(5, b + 3 * SIDE, LINE);
                _tile_dpbf16ps(3, 4, 5);
            }
        }
    }
    template <int V> INLINE void store(float *to, int64_t stride) const {
        stride *= int64_t(sizeof(float));
        _tile_stored(0, to, stride);
        if constexpr (V > 1) _tile_stored(1, to + SIDE, stride);
        if constexpr (V > 2) _tile_stored(2, to + 2 * SIDE, stride);
        if constexpr (V > 3) _tile_stored(3, to + 3 * SIDE, stride);
        written();
    }

  private:
    int64_t shaped = 0;

    // GCC does not know that a tile is loaded from memory: what was stored before must be there.
    static INLINE void written() { __asm__ volatile("" ::: "memory"); }
};
#endif

} // namespace TG_ISA
