// The forward pass of one slot: for each step the gates of W hidden units are summed, activated and used up in registers; where the registers
// are few, two gates at a time, and those of all rows wait in a place that stays in the first cache.
#pragma once

#include "job.h"
#include "pack.h"

namespace TG_ISA {

constexpr int64_t ROWS_AT_ONCE = 192; // sequences times steps whose input products are made together: 192 rows of 4H stay in the L2 cache
// With fewer inputs their product is a part of the step: a round trip through memory costs more;
template <class M> constexpr int64_t FEW_INPUTS = BY_MATRIX<M> ? 128 : 48;
constexpr int64_t SOME_ROWS = 6; // and where tiles are narrow, with so many sequences always
constexpr int64_t LONG = 640, STAYING = 96; // lines of the recurrent weights: with more, so many at a time, 24 KiB

template <class M> struct Pointers {
    const M **x, **h;
    Sum<M> **y, **gates, **cells, **cells_before;
};

// A row of numbers as it is multiplied: itself, or pairs of its numbers that are put to `place`, whole vectors long.
template <class M> INLINE const M *as_factors(const Sum<M> *row, int64_t n, M *place) {
    if constexpr (HELD<M> == 1) return row;
    else return narrow(row, n, place), place;
}
template <class M> INLINE int64_t place_of(int64_t numbers) { return HELD<M> == 1 ? 0 : padded_to_vector<M>(factors<M>(numbers)); }

// Time of step s of a slot's sequence r.
INLINE int64_t time_of(const tg_slot &s, int64_t r, int64_t step) { return s.direction ? s.length[r] - 1 - step : step; }
INLINE int64_t offset(const tg_problem &p, const tg_strides &strides, int64_t time, int64_t row) {
    return (p.packed ? p.packed[time] : time) * strides.time + row * strides.row;
}

template <class M> struct Forward {
    typedef Sum<M> T;
    const tg_job &job;
    const tg_problem &p;
    const tg_slot &s;
    const Layout<M> l;
    const M *weights;
    const bool training, fused;
    T *gates, *cells, *zeros, *partial;
    Matrix<M> matrix;
    M *factors_x, *factors_h;
    Pointers<M> at;

    Forward(const tg_job &job_, const tg_slot &s_)
        : job(job_), p(*job_.p), s(s_), l(p.inputs, p.hidden), weights((const M *)job.packed + s.direction * l.forward_size()),
          training(s.gates != nullptr), fused(in_step(p)) {
        T *free = (T *)s.scratch;
        zeros = free;
        free += l.padded;
        partial = free;
        free += s.rows * 4 * WIDTH<T>;
        if (training) {
            gates = (T *)s.gates;
            cells = (T *)s.cells;
        } else {
            gates = free;
            free += fused ? 0 : (ROWS_AT_ONCE + s.rows) * l.stride;
            cells = free;
            free += s.rows * l.padded;
        }
        factors_x = (M *)free;
        free += rows_of_x(s.rows, fused) * place_of<M>(p.inputs);
        factors_h = (M *)free;
        free += s.rows * place_of<M>(p.hidden);
        at.x = (const M **)free;
        at.h = at.x + rows_of_x(s.rows, fused);
        at.y = (T **)(at.h + s.rows);
        at.gates = at.y + s.rows;
        at.cells = at.gates + s.rows;
        at.cells_before = at.cells + s.rows;
    }
    static int64_t scratch_size(const tg_problem &p, int64_t rows, bool training) {
        const Layout<M> l(p.inputs, p.hidden);
        const bool fused = in_step(p);
        const int64_t pointers = (5 * rows + rows_of_x(rows, fused)) * int64_t(sizeof(void *));
        int64_t size = l.padded + rows * 4 * WIDTH<T> + (pointers + int64_t(sizeof(T)) - 1) / int64_t(sizeof(T));
        if (!training) size += rows * l.padded + (fused ? 0 : (ROWS_AT_ONCE + rows) * l.stride);
        return size + rows_of_x(rows, fused) * place_of<M>(p.inputs) + rows * place_of<M>(p.hidden);
    }
    static bool in_step(const tg_problem &p) { return p.inputs <= FEW_INPUTS<M> || (VECTORS < 4 && p.batch >= SOME_ROWS); }
    static int64_t rows_of_x(int64_t rows, bool fused) { return fused ? rows : ROWS_AT_ONCE + rows; }

    T *y_of(int64_t r, int64_t step) const {
        return (T *)job.y + offset(p, p.y, time_of(s, r, step), s.row[r]) + s.direction * p.hidden;
    }
    const T *x_of(int64_t r, int64_t step) const { return (const T *)job.x + offset(p, p.x, time_of(s, r, step), s.row[r]); }
    int64_t state_of(int64_t r) const { return (s.direction * p.batch + s.row[r]) * p.hidden; }

    int64_t first_block() const { return s.first_unit / WIDTH<T>; }
    int64_t last_block() const { return (s.last_unit + WIDTH<T> - 1) / WIDTH<T>; }

    void run(tg_barrier *barrier) {
        for (int64_t i = 0; i < l.padded; ++i) zeros[i] = 0;
        if (!training) first_cells();
        int64_t step = 0;
        while (step < s.steps) {
            int64_t end = s.steps;
            if (!fused) {
                end = step + 1;
                while (end < s.steps && s.place[end + 1] - s.place[step] <= ROWS_AT_ONCE) ++end;
                project(step, end);
            }
            for (const int64_t begin = step; step < end; ++step) {
                advance(step, training ? 0 : s.place[begin]);
                if (barrier) tg_meet(barrier, s.taken);
            }
        }
        finish();
    }

    // Inference keeps one row of cells for each sequence.
    void first_cells() {
        for (int64_t r = 0; r < s.rows; ++r) first_cell(r, cells + r * l.padded);
    }
    void first_cell(int64_t r, T *out) const {
        const T *given = job.c0 ? (const T *)job.c0 + state_of(r) : zeros;
        for (int64_t i = s.first_unit; i < s.last_unit; ++i) out[i] = given[i];
        for (int64_t i = s.last_unit; i < last_block() * WIDTH<T>; ++i) out[i] = 0;
    }

    // Gates of steps begin to end from the inputs alone, and the biases.
    void project(int64_t begin, int64_t end) {
        const int64_t rows = s.place[end] - s.place[begin];
        const M **x = at.x;
        for (int64_t step = begin; step < end; ++step)
            for (int64_t r = 0; r < s.active[step]; ++r, ++x)
                *x = as_factors<M>(x_of(r, step), p.inputs, factors_x + (x - at.x) * place_of<M>(p.inputs));
        T *out = gates + (training ? s.place[begin] : 0) * l.stride;
        if constexpr (BY_MATRIX<M>) project_by_matrix(rows, out);
        else
            for (int64_t block = first_block(); block < last_block(); ++block)
                for (int gate = 0; gate < 4; gate += VECTORS)
                    tiles(rows, [&](int64_t first, auto height, int64_t) {
                        Vec<T> sum[decltype(height)::value][VECTORS];
                        start(sum, bias(block, gate));
                        multiply(sum, factors<M>(p.inputs), at.x + first, w_ih(block, gate));
                        put(sum, out + first * l.stride + (block * 4 + gate) * WIDTH<T>, l.stride);
                    });
    }
    void project_by_matrix(int64_t rows, T *out) {
        const int64_t stride = place_of<M>(p.inputs);
        for (int64_t block = first_block(); block < last_block(); ++block)
            stretches(depth_of<M>(p.inputs), [&](int64_t k, int64_t deep) {
                groups(rows, [&](int64_t first, int64_t height) {
                    T *sums = out + first * l.stride + block * 4 * WIDTH<T>;
                    matrix.set_height(height);
                    if (k) matrix.template load<4>(sums, l.stride);
                    else matrix.template load<4>(bias(block, 0), 0);
                    matrix.template multiply<4>(deep, factors_x + first * stride + k, stride, w_ih(block, 0) + k * 4 * WIDTH<T>);
                    matrix.template store<4>(sums, l.stride);
                });
            });
    }
    template <int R, int G> static INLINE void start(Vec<T> (&sum)[R][G], const T *bias) {
#pragma GCC unroll 8
        for (int g = 0; g < G; ++g) {
            const Vec<T> b = load(bias + g * WIDTH<T>);
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) sum[r][g] = b;
        }
    }

    void advance(int64_t step, int64_t base) {
        const int64_t rows = s.active[step];
        for (int64_t r = 0; r < rows; ++r) {
            if (fused) at.x[r] = as_factors<M>(x_of(r, step), p.inputs, factors_x + r * place_of<M>(p.inputs));
            at.y[r] = y_of(r, step);
            const T *before = step ? y_of(r, step - 1) : job.h0 ? (const T *)job.h0 + state_of(r) : zeros;
            at.h[r] = as_factors<M>(before, p.hidden, factors_h + r * place_of<M>(p.hidden));
            at.gates[r] = gates + (s.place[step] - base + r) * l.stride;
            at.cells[r] = training ? cells + (s.place[step] + r) * l.padded : cells + r * l.padded;
            at.cells_before[r] = training && step ? cells + (s.place[step - 1] + r) * l.padded : at.cells[r];
            if (training && !step) first_cell(r, at.cells[r]);
        }
        const int64_t depth = !step && !job.h0 ? 0 : depth_of<M>(p.hidden);
        if constexpr (BY_MATRIX<M>) sum_by_matrix(rows, depth, step % 2);
        else if (rows <= FEW) sum_all<4>(rows, depth, step % 2);
        else sum_all<VECTORS>(rows, depth, step % 2);
    }
    // Gates, cells and outputs, of G gates at a time. Every other step goes through the weights backwards: those read last are still in the cache.
    template <int G> void sum_all(int64_t rows, int64_t depth, bool back) {
        constexpr int64_t TIMES = 4 / G;
        const int64_t begin = first_block() * TIMES, count = last_block() * TIMES - begin;
        const auto number = [&](int64_t i) { return begin + (back ? count - 1 - i : i); };
        for (int64_t i = 0; i < count; ++i) {
            const int64_t here = number(i), next = i + 1 == count ? here : number(i + 1), block = here / TIMES;
            sum_gates<G>(rows, block, here % TIMES * G, depth, w_hh(next / TIMES, next % TIMES * G));
            if (TIMES > 1 && i % TIMES == TIMES - 1)
                for (int64_t r = 0; r < rows; ++r) {
                    Vec<T> sum[1][4];
                    get(sum, partial + r * 4 * WIDTH<T>, 4 * WIDTH<T>);
                    activate(sum, r, block);
                }
        }
    }
    // Of up to sixteen rows at a time, whose sums pass through `partial`.
    void sum_by_matrix(int64_t rows, int64_t depth, bool back) {
        constexpr int W = WIDTH<T>;
        const int64_t stride = place_of<M>(p.hidden);
        for (int64_t i = first_block(); i < last_block(); ++i) {
            const int64_t block = back ? first_block() + last_block() - 1 - i : i;
            groups(rows, [&](int64_t first, int64_t height) {
                matrix.set_height(height);
                if (fused) {
                    matrix.template load<4>(bias(block, 0), 0);
                    const int64_t wide = place_of<M>(p.inputs);
                    matrix.template multiply<4>(depth_of<M>(p.inputs), factors_x + first * wide, wide, w_ih(block, 0));
                } else matrix.template load<4>(at.gates[first] + block * 4 * W, l.stride);
                matrix.template multiply<4>(depth, factors_h + first * stride, stride, w_hh(block, 0));
                matrix.template store<4>(partial, 4 * W);
                for (int64_t r = 0; r < height; ++r) {
                    Vec<T> sum[1][4];
                    get(sum, partial + r * 4 * W, 4 * W);
                    activate(sum, first + r, block);
                }
            });
        }
    }
    // Of a long panel some lines are used for all rows before the next, so that those which are fetched ahead are not many; sums that are not
    // complete wait in `partial`.
    template <int G> void sum_gates(int64_t rows, int64_t block, int gate, int64_t depth, const M *next_panel) {
        constexpr int W = WIDTH<T>;
        const int64_t lines = rows > ROWS && depth > LONG ? STAYING : depth;
        int64_t line = 0;
        do {
            const int64_t deep = depth - line < lines ? depth - line : lines;
            const M *here = w_hh(block, gate) + line * IN_PANEL<G> * W;
            const M *next = line + deep < depth ? here + deep * IN_PANEL<G> * W : next_panel;
            tiles(rows, [&](int64_t first, auto height, int64_t number) {
                constexpr int R = decltype(height)::value;
                if constexpr (G == VECTORS || R <= FEW) {
                    Vec<T> sum[R][G];
                    T *place = partial + first * 4 * W + gate * W;
                    if (line) get(sum, place, 4 * W);
                    else begin_sums(sum, first, block, gate);
                    const Ahead<M> fetched = ahead<M, G>(next, deep, number, count_tiles(rows));
                    multiply(sum, deep, at.h + first, here, VECTORS * W * factors<M>(p.hidden), fetched, line);
                    if constexpr (G == 4)
                        if (line + deep == depth) return activate(sum, first, block);
                    put(sum, place, 4 * W);
                }
            });
            line += deep;
        } while (line < depth);
    }
    const T *bias(int64_t block, int gate) const { return (const T *)(weights + l.bias()) + (block * 4 + gate) * WIDTH<T>; }
    const M *w_ih(int64_t block, int gate) const { return weights + l.w_ih() + (block * 4 + gate) * WIDTH<T> * depth_of<M>(p.inputs); }
    const M *w_hh(int64_t block, int gate) const { return weights + l.w_hh() + (block * 4 + gate) * WIDTH<T> * depth_of<M>(p.hidden); }

    template <int R, int G> static INLINE void get(Vec<T> (&sum)[R][G], const T *from, int64_t stride) {
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
            for (int g = 0; g < G; ++g) sum[r][g] = load(from + r * stride + g * WIDTH<T>);
    }
    template <int R, int G> static INLINE void put(const Vec<T> (&sum)[R][G], T *to, int64_t stride) {
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
            for (int g = 0; g < G; ++g) store(to + r * stride + g * WIDTH<T>, sum[r][g]);
    }
    // What the gates are before the hidden states count.
    template <int R, int G> INLINE void begin_sums(Vec<T> (&sum)[R][G], int64_t first, int64_t block, int gate) {
        if (fused) {
            start(sum, bias(block, gate));
            multiply(sum, factors<M>(p.inputs), at.x + first, w_ih(block, gate), VECTORS * WIDTH<T> * factors<M>(p.inputs));
        } else get(sum, at.gates[first] + (block * 4 + gate) * WIDTH<T>, l.stride);
    }
    template <int R> INLINE void activate(Vec<T> (&sum)[R][4], int64_t first, int64_t block) {
        constexpr int W = WIDTH<T>;
        const int64_t valid = p.hidden - block * W;
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            const Vec<T> i = sigmoid(sum[r][0]), f = sigmoid(sum[r][1]), g = tanh(sum[r][2]), o = sigmoid(sum[r][3]);
            const Vec<T> c = f * load(at.cells_before[first + r] + block * W) + i * g;
            store(at.cells[first + r] + block * W, c);
            if (training) {
                T *out = at.gates[first + r] + block * 4 * W;
                store(out, i);
                store(out + W, f);
                store(out + 2 * W, g);
                store(out + 3 * W, o);
            }
            store_part(at.y[first + r] + block * W, o * tanh(c), valid);
        }
    }

    // Last states; and zeros where a padded output is longer than its sequence.
    void finish() {
        for (int64_t r = 0; r < s.rows; ++r) {
            const int64_t length = s.length[r];
            T *h = (T *)job.h_n + state_of(r), *c = (T *)job.c_n + state_of(r);
            const T *last = length ? y_of(r, length - 1) : job.h0 ? (const T *)job.h0 + state_of(r) : zeros;
            const T *cell = training ? cells + (length ? s.place[length - 1] + r : 0) * l.padded : cells + r * l.padded;
            if (!length) cell = job.c0 ? (const T *)job.c0 + state_of(r) : zeros;
            for (int64_t i = s.first_unit; i < s.last_unit; ++i) h[i] = last[i];
            for (int64_t i = s.first_unit; i < s.last_unit; ++i) c[i] = cell[i];
            if (p.packed) continue;
            for (int64_t time = length; time < p.steps; ++time) {
                T *out = (T *)job.y + offset(p, p.y, time, s.row[r]) + s.direction * p.hidden;
                for (int64_t i = s.first_unit; i < s.last_unit; ++i) out[i] = 0;
            }
        }
    }
};

} // namespace TG_ISA
