// Weights in the order in which the kernels read them.
//
// For one direction, with P = H rounded up to whole vectors of W:
//   forward   bias [P/W][4][W]; w_ih [P/W][4/V][I][V][W]; w_hh [P/W][4/V][H][V][W]: a block holds the four gates of W hidden units, V = VECTORS of
//             them in a panel
//   backward  w_hh as columns [panels of H][4P][V W]; w_ih the same [panels of I][4P][V W]; lines in the order of the gates' rows
// Where pairs of bfloat16 are multiplied, two lines are one; by matrix tiles, lines of zeros fill I and H up to whole tiles.
#pragma once

#include "matrix.h"

namespace TG_ISA {

// M: what is multiplied, as large as the numbers T of the biases.
template <class M> struct Layout {
    typedef Sum<M> T;
    int64_t inputs, hidden, padded, stride;
    explicit INLINE Layout(int64_t inputs_, int64_t hidden_)
        : inputs(inputs_), hidden(hidden_), padded(padded_to_vector<T>(hidden_)),
          stride(4 * padded + 64 / int64_t(sizeof(T))) {} // an odd number of cache lines: rows do not fall on the same sets
    INLINE int64_t lines() const { return factors<M>(4 * padded); }
    INLINE int64_t blocks() const { return padded / WIDTH<T>; }
    INLINE int64_t bias() const { return 0; }
    INLINE int64_t w_ih() const { return 4 * padded; }
    INLINE int64_t w_hh() const { return w_ih() + 4 * padded * depth_of<M>(inputs); }
    INLINE int64_t forward_size() const { return w_hh() + 4 * padded * depth_of<M>(hidden); }
    INLINE int64_t columns_hh() const { return 0; }
    INLINE int64_t columns_ih() const { return lines() * padded; }
    INLINE int64_t backward_size() const { return columns_ih() + lines() * padded_to_vector<T>(inputs); }
};

// Lines as they are multiplied: one, or two as pairs.
template <class M> INLINE Vec<M> factor(const Vec<Sum<M>> *lines) {
    if constexpr (HELD<M> == 2) return pair(lines[0], lines[1]);
    else return lines[0];
}

// A block [4/V][depth][V][W] of the four gates' W rows of w [4H, depth].
template <class M> void pack_block(const Sum<M> *w, int64_t depth, const Layout<M> &l, int64_t block, M *out) {
    typedef Sum<M> T;
    constexpr int W = WIDTH<T>;
    const int64_t unit = block * W;
    const int64_t valid = l.hidden - unit < W ? l.hidden - unit : W;
    for (int gate = 0; gate < 4; ++gate) {
        const T *row = w + (gate * l.hidden + unit) * depth;
        M *panel = out + gate / VECTORS * VECTORS * W * depth_of<M>(depth);
        for (int64_t k = 0; k < HELD<M> * depth_of<M>(depth); k += W) {
            const int64_t deep = depth - k < W ? depth - k : W;
            Vec<T> square[W];
#pragma GCC unroll 16
            for (int i = 0; i < W; ++i) square[i] = i < valid && deep > 0 ? load_part(row + i * depth + k, deep) : Vec<T>{};
            transpose<T>(square);
#pragma GCC unroll 16
            for (int j = 0; j < W; j += HELD<M>)
                if (j < deep || BY_MATRIX<M>) store(panel + ((k + j) / HELD<M> * VECTORS + gate % VECTORS) * W, factor<M>(&square[j]));
        }
    }
}

template <class M> void pack_bias(const Sum<M> *b_ih, const Sum<M> *b_hh, const Layout<M> &l, Sum<M> *out) {
    typedef Sum<M> T;
    constexpr int W = WIDTH<T>;
    for (int64_t unit = 0; unit < l.padded; ++unit)
        for (int gate = 0; gate < 4; ++gate) {
            T sum = 0;
            if (unit < l.hidden && b_ih) sum += b_ih[gate * l.hidden + unit];
            if (unit < l.hidden && b_hh) sum += b_hh[gate * l.hidden + unit];
            out[(unit / W * 4 + gate) * W + unit % W] = sum;
        }
}

// Panels of w [4H, columns] for the lines of one block of gates (4 W lines of 4P).
template <class M> void pack_lines(const Sum<M> *w, int64_t columns, const Layout<M> &l, int64_t block, M *out) {
    typedef Sum<M> T;
    constexpr int W = WIDTH<T>;
    panels<T>(0, columns, [&](int64_t first, auto vectors) {
        constexpr int V = decltype(vectors)::value;
        M *panel = out + first * l.lines() + factors<M>(block * 4 * W) * V * W;
        for (int gate = 0; gate < 4; ++gate)
            for (int64_t lane = 0; lane < W; lane += HELD<M>, panel += V * W) {
                const int64_t unit = block * W + lane;
                const T *row = w + (gate * l.hidden + unit) * columns + first;
                for (int v = 0; v < V; ++v) {
                    const int64_t left = columns - first - v * W;
                    Vec<T> line[HELD<M>];
                    for (int i = 0; i < HELD<M>; ++i)
                        line[i] = unit + i < l.hidden ? load_part(row + i * columns + v * W, left < W ? left : W) : Vec<T>{};
                    store(panel + v * W, factor<M>(line));
                }
            }
    });
}

} // namespace TG_ISA
