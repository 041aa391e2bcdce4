// The gradients of a slot's weights: sums over the sequences and steps that wait, a few hundred at a time, while they are in the cache.
#pragma once

#include "forward.h"

namespace TG_ISA {

constexpr int64_t SOON = 16;        // rows that are fetched ahead where they lie far apart
constexpr int64_t NEAR_ROWS = 2112; // bytes from one row of gates to the next: a few hundred of them have not more pages than the TLB
constexpr int64_t NEAR = 256 << 10; // bytes of a gradient that stays in the L2 cache from one sum to the next
constexpr int64_t DEPTH = VECTORS < 4 ? 512 : 256; // sequences times steps that one product for the weights' gradients sums over

template <class M> struct WeightSums {
    typedef Sum<M> T;
    const tg_problem &p;
    const tg_slot &s;
    const Layout<M> &l;
    Matrix<M> &matrix;
    M *tall = nullptr, *panel = nullptr;
    const T **gate_rows = nullptr, **x_rows = nullptr, **h_rows = nullptr; // of what waits
    int64_t waiting = 0;
    bool first_sum = true;

    WeightSums(const tg_problem &p_, const tg_slot &s_, const Layout<M> &l_, Matrix<M> &matrix_) : p(p_), s(s_), l(l_), matrix(matrix_) {}
    // So many sequences times steps may wait; an even number, so that the pointers behind the numbers lie where pointers may.
    static int64_t deepest(int64_t rows) { return DEPTH + rows + rows % 2; }
    // Strips of ROWS columns of the gates' gradients, the last perhaps not full.
    static int64_t strips(const Layout<M> &l) { return (4 * l.padded + ROWS - 1) / ROWS; }
    static int64_t tall_size(const Layout<M> &l, int64_t deep) { return padded_to_vector<T>(deep * strips(l) * ROWS); } // whole cache lines
    // Elements that it takes, and as many pointers more as may wait.
    static int64_t size(const Layout<M> &l, int64_t rows) {
        const int64_t deep = deepest(rows);
        const int64_t pointers = (4 * deep * int64_t(sizeof(void *)) + int64_t(sizeof(T)) - 1) / int64_t(sizeof(T));
        return tall_size(l, deep) + deep * 4 * WIDTH<T> + pointers;
    }
    // Takes its memory; returns the pointers that are left.
    const T **place(M *free) {
        const int64_t deep = deepest(s.rows);
        tall = free;
        panel = tall + tall_size(l, deep);
        gate_rows = (const T **)(panel + deep * 4 * WIDTH<T>);
        x_rows = gate_rows + deep;
        h_rows = x_rows + deep;
        return h_rows + deep;
    }

    void sum() {
        if constexpr (BY_MATRIX<M>) pack_tall_by_matrix();
        else if (!near()) pack_tall();
        if (s.dw_ih) products(x_rows, p.inputs, (T *)s.dw_ih);
        if (s.dw_hh) products(h_rows, p.hidden, (T *)s.dw_hh);
        first_sum = false;
    }
    void clear() {
        for (int64_t i = 0; s.dw_ih && !s.part && i < 4 * p.hidden * p.inputs; ++i) ((T *)s.dw_ih)[i] = 0;
        for (int64_t i = 0; s.dw_hh && !s.part && i < 4 * p.hidden * p.hidden; ++i) ((T *)s.dw_hh)[i] = 0;
    }
    // The rows of the gates' gradients that belong to the slot's units.
    int64_t first_line() const { return 4 * s.first_unit; }
    int64_t last_line() const { return 4 * padded_to_vector<T>(s.last_unit); }

    // The gates' gradients as tiles of SIDE columns, turned into rows: [strips][waiting in tiles][SIDE][SIDE].
    void pack_tall_by_matrix() {
        const int64_t lines = last_line() - first_line(), depth = depth_of<M>(waiting);
        for (int64_t begin = 0; begin < depth; begin += SIDE)
            for (int64_t first = 0; first < lines; first += SIDE) {
                Vec<T> square[SIDE];
                for (int64_t k = 0; k < SIDE; ++k)
                    square[k] = (Vec<T>)pair_of(gate_rows, HELD<M> * (begin + k), first_line() + first, SIDE);
                transpose<T>(square);
                M *tile = tall + first * depth + begin * SIDE;
                for (int64_t i = 0; i < SIDE; ++i) store((T *)tile + i * SIDE, square[i]);
            }
    }
    // Whether the gates' rows are so near to each other that they are read where they are, rather than packed first.
    bool near() const { return HELD<M> == 1 && VECTORS == 4 && l.stride * int64_t(sizeof(T)) <= NEAR_ROWS; }
    // The gates' gradients as strips of ROWS columns, [strips][waiting][ROWS].
    void pack_tall() {
        const int64_t lines = last_line() - first_line();
        for (int64_t begin = 0; begin < waiting; begin += 64) { // of 64 rows the pages stay in the TLB
            const int64_t end = begin + 64 < waiting ? begin + 64 : waiting;
            for (int64_t first = 0; first < lines; first += ROWS) {
                M *out = tall + first * factors<M>(waiting) + factors<M>(begin) * ROWS;
                const int64_t wide = lines - first;
                if constexpr (HELD<M> == 2)
                    for (int64_t k = begin; k < end; k += 2, out += ROWS) {
                        const Vec<M> row = pair_of(gate_rows, k, first_line() + first, wide < ROWS ? wide : ROWS);
                        store_part((T *)out, (Vec<T>)row, wide < ROWS ? wide : ROWS);
                    }
                else if (wide >= ROWS)
                    for (int64_t k = begin; k < end; ++k, out += ROWS) {
                        const T *row = gate_rows[k] + first_line() + first;
#pragma GCC unroll 8
                        for (int i = 0; i < ROWS; ++i) out[i] = row[i];
                    }
                else
                    for (int64_t k = begin; k < end; ++k, out += ROWS)
                        for (int64_t i = 0; i < wide; ++i) out[i] = gate_rows[k][first_line() + first + i];
            }
        }
    }

    // n numbers of row k and of the one behind it, zeros behind the last row.
    INLINE Vec<M> pair_of(const T *const *rows, int64_t k, int64_t column, int64_t n) const {
        const auto part = [&](int64_t row) { return row < waiting ? load_part(rows[row] + column, n) : Vec<T>{}; };
        return pair(part(k), part(k + 1));
    }

    // out [4H, columns] (+)= gates' gradients, transposed, times the rows of x or h.
    void products(const T *const *rows, int64_t columns, T *out) {
        const bool far = !first_sum && 4 * p.hidden * columns * int64_t(sizeof(T)) > NEAR;
        panels<T>(0, columns, [&](int64_t column, auto vectors) {
            constexpr int V = decltype(vectors)::value;
            fill_panel<V>(rows, column, columns);
            if constexpr (BY_MATRIX<M>) products_by_matrix<V>(column, columns, out);
            else products_by_lines<V>(column, columns, far, out);
        });
    }
    // Columns of the rows of x or h as a panel of their own, [waiting][V W]; lines of zeros where `depth_of` asks for more.
    template <int V> void fill_panel(const T *const *rows, int64_t column, int64_t columns) {
        constexpr int W = WIDTH<T>;
        for (int64_t k = 0; k < HELD<M> * depth_of<M>(waiting); k += HELD<M>) {
            for (int64_t i = 0; i < HELD<M>; ++i) __builtin_prefetch(rows[k + i + SOON < waiting ? k + i + SOON : 0] + column);
            for (int v = 0; v < V; ++v) {
                const int64_t at = column + v * W, left = columns - at;
                M *line = panel + (k / HELD<M> * V + v) * W;
                if constexpr (HELD<M> == 2) store(line, pair_of(rows, k, at, left));
                else store(line, load_part(rows[k] + at, left));
            }
        }
    }
    template <int V> void products_by_matrix(int64_t column, int64_t columns, T *out) {
        constexpr int W = WIDTH<T>;
        const int64_t lines = last_line() - first_line(), depth = depth_of<M>(waiting);
        alignas(64) T sums[SIDE][V * W];
        matrix.set_height(SIDE);
        for (int64_t first = 0; first < lines; first += SIDE) {
            matrix.template clear<V>();
            matrix.template multiply<V>(depth, tall + first * depth, SIDE, panel, SIDE * SIDE);
            matrix.template store<V>(sums[0], V * W);
            for (int64_t r = 0; r < SIDE; ++r) {
                Vec<T> sum[1][V];
                Forward<M>::get(sum, sums[r], 0);
                put<V>(sum[0], first_line() + first + r, column, columns, out);
            }
        }
    }
    template <int V> void products_by_lines(int64_t column, int64_t columns, bool far, T *out) {
        const int64_t lines = last_line() - first_line();
        for (int64_t first = 0; first < lines; first += ROWS) {
            const int64_t height = lines - first < ROWS ? lines - first : ROWS;
            by_height(height, first, 0, [&](int64_t line, auto number, int64_t) {
                constexpr int R = decltype(number)::value;
                Vec<T> sum[R][V] = {};
                if (far) // these lines of the cache lie far apart, so nothing else fetches them
#pragma GCC unroll 8
                    for (int r = 0; r < R; ++r) __builtin_prefetch(place_of_line(first_line() + line + r, column, columns, out), 1);
                if (near()) multiply_columns(sum, waiting, (const M *)gate_rows[0] + first_line() + line, -l.stride, panel);
                else multiply_columns(sum, factors<M>(waiting), tall + line * factors<M>(waiting), ROWS, panel);
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r) put<V>(sum[r], first_line() + line + r, column, columns, out);
            });
        }
    }
    // Where a row of sums belongs in torch's order: nowhere if it is padding.
    INLINE T *place_of_line(int64_t line, int64_t column, int64_t columns, T *out) const {
        constexpr int W = WIDTH<T>;
        const int64_t unit = line / (4 * W) * W + line % W, gate = line / W % 4;
        return unit < p.hidden ? out + (gate * p.hidden + unit) * columns + column : nullptr;
    }
    template <int V> INLINE void put(const Vec<T> (&sum)[V], int64_t line, int64_t column, int64_t columns, T *out) {
        constexpr int W = WIDTH<T>;
        T *place = place_of_line(line, column, columns, out);
        if (!place) return;
        for (int v = 0; v < V; ++v) {
            const int64_t left = columns - column - v * W;
            store_part(place + v * W, first_sum ? sum[v] : sum[v] + load_part(place + v * W, left), left);
        }
    }
};

} // namespace TG_ISA
