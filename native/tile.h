// The register tile: a few rows times a few vectors of columns, everything in registers until the sum is complete.
#pragma once

#include "vec.h"

namespace TG_ISA {

// Rows of a tile with four vectors of columns: 24 + 4 + 1 of 32 registers with AVX-512, 12 + 3 of 16 with AVX2.
#if defined(__AVX512F__)
constexpr int ROWS = 6;
#elif defined(__AVX2__)
constexpr int ROWS = 3;
#else
constexpr int ROWS = 2;
#endif

// With 16 registers the inner loops keep their sums in them only as functions of their own.
#if defined(__AVX512F__)
#define OF_ITS_OWN INLINE
#else
#define OF_ITS_OWN __attribute__((noinline))
#endif
template <class V, int R, int C> INLINE void copy(const V (&from)[R][C], V (&to)[R][C]) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c) to[r][c] = from[r][c];
}

// What one of `tiles` tiles fetches into the L2 cache of the panel that is read next, while it works on the panel before: weights that are
// larger than the cache would otherwise be waited for. A panel of V vectors a line is fetched by V tiles, or V / 2 where there are fewer.
template <class T> struct Ahead {
    const T *first;
    int64_t gap; // to a second place that is fetched at the same time, or 0
};
template <class T, int V> INLINE Ahead<T> ahead(const T *panel, const T *next, int64_t deep, int64_t tile, int64_t tiles) {
    const int64_t each = tiles < V ? 2 : 1;
    if (!next || tile * each >= V) return {panel, 0};
    return {next + tile * each * deep * WIDTH<T>, each == 2 && V > 1 ? deep * WIDTH<T> : 0};
}

// sum[r][v] += a[r][from + k] * b[k][v] for k < depth. a: one pointer a row; b: panel of `V` vectors a line.
template <class M, int R, int V>
OF_ITS_OWN void multiply(Vec<Sum<M>> (&sums)[R][V], int64_t depth, const M *const *a, const M *b, Ahead<M> fetched, int64_t from = 0) {
    constexpr int W = WIDTH<M>;
    Vec<Sum<M>> sum[R][V];
    copy(sums, sum);
    const M *row[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) row[r] = a[r] + from;
    for (int64_t k = 0; k < depth; ++k, b += V * W, fetched.first += W) {
        Vec<M> line[V];
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) line[v] = load(b + v * W);
        __builtin_prefetch(fetched.first, 0, 2);
        if (V > 1) __builtin_prefetch(fetched.first + fetched.gap, 0, 2);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            const Vec<M> x = all(row[r][k]);
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) add_product<M>(sum[r][v], x, line[v]);
        }
    }
    copy(sum, sums);
}

template <class M, int R, int V> INLINE void multiply(Vec<Sum<M>> (&sum)[R][V], int64_t depth, const M *const *a, const M *b) {
    multiply(sum, depth, a, b, {b, 0});
}

// The same with the rows of a side by side: a[k][r], `stride` elements from k to k + 1.
template <class M, int R, int V>
OF_ITS_OWN void multiply_columns(Vec<Sum<M>> (&sums)[R][V], int64_t depth, const M *a, int64_t stride, const M *b) {
    constexpr int W = WIDTH<M>;
    Vec<Sum<M>> sum[R][V];
    copy(sums, sum);
    for (int64_t k = 0; k < depth; ++k, a += stride, b += V * W) {
        Vec<M> line[V];
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) line[v] = load(b + v * W);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            const Vec<M> x = all(a[r]);
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) add_product<M>(sum[r][v], x, line[v]);
        }
    }
    copy(sum, sums);
}

// `rows` in tiles of nearly equal height, at most ROWS: calls f(first, Number<height>, number of the tile).
template <int N> struct Number {
    static constexpr int value = N;
};
template <class F> INLINE void by_height(int64_t height, int64_t first, int64_t number, F f) {
    switch (height) {
    case 1: return f(first, Number<1>{}, number);
    case 2: return f(first, Number<2>{}, number);
#if defined(__AVX2__)
    case 3: return f(first, Number<3>{}, number);
#endif
#if defined(__AVX512F__)
    case 4: return f(first, Number<4>{}, number);
    case 5: return f(first, Number<5>{}, number);
    case 6: return f(first, Number<6>{}, number);
#endif
    }
}
INLINE int64_t count_tiles(int64_t rows) { return (rows + ROWS - 1) / ROWS; }
template <class F> INLINE void tiles(int64_t rows, F f) {
    const int64_t count = count_tiles(rows);
    int64_t first = 0;
    for (int64_t i = 0; i < count; ++i) {
        const int64_t height = (rows - first + count - i - 1) / (count - i);
        by_height(height, first, i, f);
        first += height;
    }
}

// The columns `first` to `columns` in panels of four vectors, the last of one to four: calls f(column, Number<vectors>).
template <class T, class F> INLINE void panels(int64_t first, int64_t columns, F f) {
    constexpr int64_t FULL = 4 * WIDTH<T>;
    for (; columns - first >= FULL; first += FULL) f(first, Number<4>{});
    switch ((columns - first + WIDTH<T> - 1) / WIDTH<T>) {
    case 1: return f(first, Number<1>{});
    case 2: return f(first, Number<2>{});
    case 3: return f(first, Number<3>{});
    case 4: return f(first, Number<4>{});
    }
}
template <class T> INLINE int64_t padded_to_vector(int64_t n) { return (n + WIDTH<T> - 1) / WIDTH<T> * WIDTH<T>; }

} // namespace TG_ISA
