// The register tile: a few rows times a few vectors of columns, everything in registers until the sum is complete.
#pragma once

#include "vec.h"

namespace TG_ISA {

// A tile's rows and vectors of columns: 24 + 4 + 1 of 32 registers with AVX-512, 12 + 2 + 1 of 16 without.
constexpr int ROWS = 6;
#if defined(__AVX512F__)
constexpr int VECTORS = 4;
#else
constexpr int VECTORS = 2;
#endif
// So few rows are multiplied with four vectors: with two, the few sums would wait for themselves.
constexpr int FEW = VECTORS < 4 ? 3 : 0;

// With 16 registers the inner loops keep their sums in them only as functions of their own. With AddressSanitizer it is the compiler's time that
// counts.
#if defined(__AVX512F__) && !defined(__SANITIZE_ADDRESS__)
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

// What a tile fetches into the L2 cache of the panel that is read next, a cache line with each of the panel's own lines: weights that are larger
// than the cache would otherwise be waited for. Several tiles fetch a part each, or two parts where the tiles are fewer.
template <class M> struct Ahead {
    const M *first; // nullptr: nothing
    int64_t gap;    // to a second place that is fetched at the same time, or 0
};
template <class M> constexpr int CACHE_LINE = 64 / int(sizeof(M));
template <int V> constexpr int FETCHED = (V * BYTES + 63) / 64; // cache lines of a panel's line
template <class M, int V> INLINE Ahead<M> ahead(const M *next, int64_t deep, int64_t tile, int64_t tiles) {
    const int64_t part = deep * CACHE_LINE<M>, each = tiles < FETCHED<V> ? 2 : 1;
    if (!next || tile * each >= FETCHED<V>) return {nullptr, 0};
    return {next + tile * each * part, each == 2 ? part : 0};
}

// Panels of at most VECTORS vectors a line. More vectors lie in a second panel, `apart` elements behind the first.
template <int V> constexpr int IN_PANEL = V < VECTORS ? V : VECTORS;
template <class M, int V> INLINE Vec<M> vector_of(const M *line, int v, int64_t apart) {
    return load(line + v / IN_PANEL<V> * apart + v % IN_PANEL<V> * WIDTH<M>);
}

template <class M, int R, int V, bool FETCH>
OF_ITS_OWN void sum_products(Vec<Sum<M>> (&sums)[R][V], int64_t depth, const M *const *a, const M *b, int64_t apart, Ahead<M> fetched,
                             int64_t from) {
    Vec<Sum<M>> sum[R][V];
    copy(sums, sum);
    const M *row[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) row[r] = a[r] + from;
    for (int64_t k = 0; k < depth; ++k, b += IN_PANEL<V> * WIDTH<M>) {
        Vec<M> line[V];
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) line[v] = vector_of<M, V>(b, v, apart);
        if (FETCH) {
            __builtin_prefetch(fetched.first, 0, 2);
            if (FETCHED<V> > 1) __builtin_prefetch(fetched.first + fetched.gap, 0, 2);
            fetched.first += CACHE_LINE<M>;
        }
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            const Vec<M> x = all(row[r][k]);
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) add_product<M>(sum[r][v], x, line[v]);
        }
    }
    copy(sum, sums);
}

// sum[r][v] += a[r][from + k] * b[k][v] for k < depth. a: one pointer a row; b: a panel, or two of them `apart`.
template <class M, int R, int V>
INLINE void multiply(Vec<Sum<M>> (&sum)[R][V], int64_t depth, const M *const *a, const M *b, int64_t apart = 0, Ahead<M> fetched = {},
                     int64_t from = 0) {
    if (fetched.first) sum_products<M, R, V, true>(sum, depth, a, b, apart, fetched, from);
    else sum_products<M, R, V, false>(sum, depth, a, b, apart, fetched, from);
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
    case 3: return f(first, Number<3>{}, number);
    case 4: return f(first, Number<4>{}, number);
    case 5: return f(first, Number<5>{}, number);
    case 6: return f(first, Number<6>{}, number);
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

// The columns `first` to `columns` in panels of VECTORS vectors, the last perhaps of fewer: calls f(column, Number<vectors>).
template <class T, class F> INLINE void panels(int64_t first, int64_t columns, F f) {
    constexpr int64_t FULL = VECTORS * WIDTH<T>;
    for (; columns - first >= FULL; first += FULL) f(first, Number<VECTORS>{});
    switch ((columns - first + WIDTH<T> - 1) / WIDTH<T>) {
    case 1: return f(first, Number<1>{});
    case 2: return f(first, Number<2>{});
#if defined(__AVX512F__)
    case 3: return f(first, Number<3>{});
    case 4: return f(first, Number<4>{});
#endif
    }
}
template <class T> INLINE int64_t padded_to_vector(int64_t n) { return (n + WIDTH<T> - 1) / WIDTH<T> * WIDTH<T>; }

} // namespace TG_ISA
