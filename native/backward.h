// The backward pass of one slot (backpropagation through time): the gradients of the gates overwrite the gates, step by step from the last;
// every few steps they are used up for the gradients of weights and inputs while they are still in the cache.
#pragma once

#include "weight_sums.h"

namespace TG_ISA {

constexpr int64_t LINES = 512;      // of a panel of the recurrent weights that are used for all rows before the next: 128 KiB, or 32 with AVX2

template <class M> struct Backward {
    typedef Sum<M> T;
    const tg_job &job;
    const tg_problem &p;
    const tg_slot &s;
    const Layout<M> l;
    const M *columns_hh, *columns_ih;
    T *gates, *dc, *dh, *zeros;
    T *db;
    M *gate_factors, *factors_now; // of the steps whose gradients are still to be summed, by matrix tiles; of the step that was gone back last
    const T *cells;
    Matrix<M> matrix;
    WeightSums<M> sums;
    T **dx_rows; // of the steps that wait in `sums`

    Backward(const tg_job &job_, const tg_slot &s_)
        : job(job_), p(*job_.p), s(s_), l(p.inputs, p.hidden),
          columns_hh((const M *)job.packed + s.direction * l.backward_size() + l.columns_hh()),
          columns_ih((const M *)job.packed + s.direction * l.backward_size() + l.columns_ih()), gates((T *)s.gates), cells((const T *)s.cells),
          sums(p, s, l, matrix) {
        T *free = (T *)s.scratch;
        zeros = free;
        dc = zeros + l.padded;
        dh = dc + s.rows * l.padded;
        db = dh + s.rows * l.padded;
        gate_factors = (M *)(db + 4 * l.padded);
        factors_now = gate_factors;
        dx_rows = (T **)sums.place(gate_factors + factor_rows(s.rows) * place_of<M>(4 * l.padded));
    }
    static int64_t factor_rows(int64_t rows) { return BY_MATRIX<M> ? WeightSums<M>::deepest(rows) : rows; }
    static int64_t scratch_size(const tg_problem &p, int64_t rows) {
        const Layout<M> l(p.inputs, p.hidden);
        return l.padded * (1 + 2 * rows + 4) + factor_rows(rows) * place_of<M>(4 * l.padded) + WeightSums<M>::size(l, rows);
    }

    T *gates_of(int64_t r, int64_t step) const { return gates + (s.place[step] + r) * l.stride; }
    const T *y_of(int64_t r, int64_t step) const {
        return (const T *)job.y + offset(p, p.y, time_of(s, r, step), s.row[r]) + s.direction * p.hidden;
    }
    int64_t state_of(int64_t r) const { return (s.direction * p.batch + s.row[r]) * p.hidden; }
    // The gradient that reaches the last hidden or cell state of a sequence from outside.
    const T *from_end(const void *given, int64_t r) const { return given ? (const T *)given + state_of(r) : zeros; }

    void run(tg_barrier *barrier) {
        for (int64_t i = 0; i < l.padded * (1 + 2 * s.rows + 4); ++i) zeros[i] = 0; // and dc, dh, db
        const bool summed = s.dw_ih || s.dw_hh;
        for (int64_t step = s.steps; step-- > 0;) {
            go_back(step);
            if (barrier) tg_meet(barrier, s.taken);
            if constexpr (BY_MATRIX<M>) factors_now = gate_factors + sums.waiting * place_of<M>(4 * l.padded);
            if constexpr (HELD<M> == 2)
                for (int64_t r = 0; r < s.active[step]; ++r) narrow(gates_of(r, step), 4 * l.padded, factors_now + r * place_of<M>(4 * l.padded));
            if (summed || (s.dx && BY_MATRIX<M>)) remember(step);
            const bool enough = sums.waiting && (step == 0 || sums.waiting >= DEPTH);
            if constexpr (BY_MATRIX<M>) {
                if (s.dx && enough) inputs_by_matrix();
            } else if (s.dx) inputs_of(step);
            if (summed && enough) sums.sum();
            if (enough) sums.waiting = 0;
        }
        if (summed && !s.steps) sums.clear();
        if (s.db)
            for (int64_t unit = s.first_unit; unit < s.last_unit; ++unit)
                for (int gate = 0; gate < 4; ++gate)
                    ((T *)s.db)[gate * p.hidden + unit] = db[(unit / WIDTH<T> * 4 + gate) * WIDTH<T> + unit % WIDTH<T>];
        if (s.dx && !s.part) clear_rest_of_inputs();
        first_states();
    }

    // The gradients of a step's gates, as they are multiplied.
    const M *factors_of(int64_t r, int64_t step) const {
        if constexpr (HELD<M> == 2) return factors_now + r * place_of<M>(4 * l.padded);
        else return gates_of(r, step);
    }

    // Gradients of the gates of one step, from those of the step after it.
    void go_back(int64_t step) {
        const int64_t rows = s.active[step], going_on = s.active[step + 1];
        for (int64_t r = going_on; r < rows; ++r) { // sequences that end with this step
            const T *given = from_end(job.dc_n, r);
            for (int64_t i = 0; i < p.hidden; ++i) dc[r * l.padded + i] = given[i];
        }
        for (int64_t r = going_on; r < rows; ++r) {
            const T *given = from_end(job.dh_n, r);
            for (int64_t i = 0; i < p.hidden; ++i) dh[r * l.padded + i] = given[i];
        }
        from_after(step, going_on);
        tiles(rows, [&](int64_t first, auto height, int64_t) { gates_back<decltype(height)::value>(step, first); });
    }

    // Gradients of the hidden states from the gates of the step after: as much of a panel at a time as stays in the cache for all rows.
    void from_after(int64_t step, int64_t rows) {
        if constexpr (BY_MATRIX<M>) from_after_by_matrix(rows);
        else from_after_by_lines(step, rows);
    }
    void from_after_by_matrix(int64_t rows) {
        panels<T>(s.first_unit, s.last_unit, [&](int64_t unit, auto vectors) {
            constexpr int V = decltype(vectors)::value;
            groups(rows, [&](int64_t first, int64_t height) {
                from_gates<V>(first, height, columns_hh + unit * l.lines());
                matrix.template store<V>(dh + first * l.padded + unit, l.padded);
            });
        });
    }
    // Sums of some rows' gates, of the step that was gone back last, times a panel of weights.
    template <int V> INLINE void from_gates(int64_t first, int64_t height, const M *panel) {
        const int64_t stride = place_of<M>(4 * l.padded);
        matrix.set_height(height);
        matrix.template clear<V>();
        matrix.template multiply<V>(l.lines(), factors_now + first * stride, stride, panel);
    }
    void from_after_by_lines(int64_t step, int64_t rows) {
        const int64_t lines = l.lines(), times = (lines + LINES - 1) / LINES;
        for (int64_t i = 0; i < times; ++i) {
            const int64_t line = (step % 2 ? times - 1 - i : i) * LINES; // there and back: what was read last is still in the cache
            const int64_t deep = lines - line < LINES ? lines - line : LINES;
            panels<T>(s.first_unit, s.last_unit, [&](int64_t unit, auto vectors) {
                constexpr int V = decltype(vectors)::value;
                const M *panel = columns_hh + unit * lines + line * V * WIDTH<T>;
                const M *next = unit + 2 * V * WIDTH<T> <= s.last_unit ? panel + lines * V * WIDTH<T> : nullptr;
                tiles(rows, [&](int64_t first, auto height, int64_t number) {
                    constexpr int R = decltype(height)::value;
                    const M *after[R];
                    Vec<T> sum[R][V];
#pragma GCC unroll 8
                    for (int r = 0; r < R; ++r) {
                        after[r] = factors_of(first + r, step + 1) + line;
#pragma GCC unroll 8
                        for (int v = 0; v < V; ++v) sum[r][v] = i ? load(dh + (first + r) * l.padded + unit + v * WIDTH<T>) : Vec<T>{};
                    }
                    multiply(sum, deep, after, panel, 0, ahead<M, V>(next, deep, number, count_tiles(rows)));
#pragma GCC unroll 8
                    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
                        for (int v = 0; v < V; ++v) store(dh + (first + r) * l.padded + unit + v * WIDTH<T>, sum[r][v]);
                });
            });
        }
    }

    // From the gradients of hidden and cell states to those of the gates, in the gates' place.
    template <int R> void gates_back(int64_t step, int64_t first) {
        constexpr int W = WIDTH<T>;
        T *gate[R], *dcs[R];
        const T *c[R], *before[R], *dy[R], *dhs[R];
        for (int r = 0; r < R; ++r) {
            const int64_t q = first + r;
            gate[r] = gates_of(q, step);
            dcs[r] = dc + q * l.padded;
            dhs[r] = dh + q * l.padded;
            c[r] = cells + (s.place[step] + q) * l.padded;
            before[r] = step ? cells + (s.place[step - 1] + q) * l.padded : job.c0 ? (const T *)job.c0 + state_of(q) : zeros;
            dy[r] = nullptr;
            if (job.dy) dy[r] = (const T *)job.dy + offset(p, p.dy, time_of(s, q, step), s.row[q]) + s.direction * p.hidden;
        }
        for (int64_t unit = s.first_unit; unit < s.last_unit; unit += W) {
            const int64_t left = p.hidden - unit;
            T *bias = db + unit * 4;
            Vec<T> bi = load(bias), bf = load(bias + W), bg = load(bias + 2 * W), bo = load(bias + 3 * W);
            for (int r = 0; r < R; ++r) {
                T *at = gate[r] + unit * 4;
                const Vec<T> i = load(at), f = load(at + W), g = load(at + 2 * W), o = load(at + 3 * W);
                const Vec<T> tc = tanh(load(c[r] + unit));
                Vec<T> d_h = load(dhs[r] + unit);
                if (dy[r]) d_h += load_part(dy[r] + unit, left);
                const Vec<T> d_c = load(dcs[r] + unit) + d_h * o * (T(1) - tc * tc);
                const Vec<T> d_ci = d_c * i, d_cf = d_c * f, d_ho = d_h * o * tc;
                Vec<T> di = d_ci * g * (T(1) - i), df = d_cf * load_part(before[r] + unit, left) * (T(1) - f);
                Vec<T> dg = d_ci * (T(1) - g * g), d_o = d_ho * (T(1) - o);
                if (left < W) di = keep<T>(di, left), df = keep<T>(df, left), dg = keep<T>(dg, left), d_o = keep<T>(d_o, left);
                store(at, di);
                store(at + W, df);
                store(at + 2 * W, dg);
                store(at + 3 * W, d_o);
                store(dcs[r] + unit, d_cf);
                bi += di, bf += df, bg += dg, bo += d_o;
            }
            store(bias, bi);
            store(bias + W, bf);
            store(bias + 2 * W, bg);
            store(bias + 3 * W, bo);
        }
    }

    // Gradients of one step's inputs, into their place; of a team each part has some sequences.
    void inputs_of(int64_t step) {
        const int64_t begin = s.active[step] * s.part / s.parts, end = s.active[step] * (s.part + s.taken) / s.parts;
        panels<T>(0, p.inputs, [&](int64_t column, auto vectors) {
            rows_from_gates<decltype(vectors)::value>(step, begin, end, columns_ih + column * l.lines(), [&](int64_t r, const auto &sum) {
                put_row(dx_of(r, time_of(s, r, step)) + column, sum, p.inputs - column);
            });
        });
    }
    // The same of all steps that wait, the sums in the panel's place.
    void inputs_by_matrix() {
        const int64_t begin = sums.waiting * s.part / s.parts, end = sums.waiting * (s.part + s.taken) / s.parts, stride = place_of<M>(4 * l.padded);
        panels<T>(0, p.inputs, [&](int64_t column, auto vectors) {
            constexpr int V = decltype(vectors)::value;
            constexpr int64_t WIDE = V * WIDTH<T>;
            T *found = (T *)sums.panel;
            stretches(l.lines(), [&](int64_t k, int64_t deep) {
                groups(end - begin, [&](int64_t first, int64_t height) {
                    matrix.set_height(height);
                    if (k) matrix.template load<V>(found + first * WIDE, WIDE);
                    else matrix.template clear<V>();
                    const M *rows = gate_factors + (begin + first) * stride + k;
                    matrix.template multiply<V>(deep, rows, stride, columns_ih + column * l.lines() + k * WIDE);
                    matrix.template store<V>(found + first * WIDE, WIDE);
                });
            });
            for (int64_t r = begin; r < end; ++r) {
                Vec<T> sum[1][V];
                Forward<M>::get(sum, found + (r - begin) * WIDE, 0);
                put_row(dx_rows[r] + column, sum[0], p.inputs - column);
            }
        });
    }
    // A step's gradients of the gates of rows `begin` to `end`, times a panel of weights: calls f(row, its sums).
    template <int V, class F> INLINE void rows_from_gates(int64_t step, int64_t begin, int64_t end, const M *panel, F f) {
        if constexpr (BY_MATRIX<M>) {
            alignas(64) T sums[SIDE][V * WIDTH<T>];
            groups(end - begin, [&](int64_t first, int64_t height) {
                from_gates<V>(begin + first, height, panel);
                matrix.template store<V>(sums[0], V * WIDTH<T>);
                for (int64_t r = 0; r < height; ++r) {
                    Vec<T> sum[1][V];
                    Forward<M>::get(sum, sums[r], 0);
                    f(begin + first + r, sum[0]);
                }
            });
        } else
            tiles(end - begin, [&](int64_t tile, auto height, int64_t) {
                constexpr int R = decltype(height)::value;
                const int64_t first = begin + tile;
                const M *rows[R];
                Vec<T> sum[R][V] = {};
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r) rows[r] = factors_of(first + r, step);
                multiply(sum, l.lines(), rows, panel);
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r) f(first + r, sum[r]);
            });
    }
    T *dx_of(int64_t r, int64_t time) const { return (T *)s.dx + offset(p, p.dx, time, s.row[r]); }
    template <int V> static INLINE void put_row(T *out, const Vec<T> (&sum)[V], int64_t left) {
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) store_part(out + v * WIDTH<T>, sum[v], left - v * WIDTH<T>);
    }
    void clear_rest_of_inputs() {
        for (int64_t r = 0; r < s.rows && !p.packed; ++r)
            for (int64_t time = s.length[r]; time < p.steps; ++time)
                for (int64_t i = 0; i < p.inputs; ++i) dx_of(r, time)[i] = 0;
    }

    // From the last row of a step to the first, as the steps go: the gates' gradients of all that wait lie one before the other.
    void remember(int64_t step) {
        const int64_t rows = s.active[step];
        for (int64_t r = 0; r < rows; ++r) {
            const int64_t place = sums.waiting + rows - 1 - r;
            sums.gate_rows[place] = gates_of(r, step);
            sums.x_rows[place] = (const T *)job.x + offset(p, p.x, time_of(s, r, step), s.row[r]);
            sums.h_rows[place] = step ? y_of(r, step - 1) : job.h0 ? (const T *)job.h0 + state_of(r) : zeros;
            if (s.dx) dx_rows[sums.waiting + r] = dx_of(r, time_of(s, r, step)); // as `gate_factors`
        }
        sums.waiting += rows;
    }

    // Gradients of the initial states.
    void first_states() {
        if (job.dc0)
            for (int64_t r = 0; r < s.rows; ++r) {
                const T *from = s.length[r] ? dc + r * l.padded : from_end(job.dc_n, r);
                for (int64_t i = s.first_unit; i < s.last_unit; ++i) ((T *)job.dc0)[state_of(r) + i] = from[i];
            }
        if (!job.dh0) return;
        const int64_t started = s.steps ? s.active[0] : 0;
        for (int64_t r = started; r < s.rows; ++r)
            for (int64_t i = s.first_unit; i < s.last_unit; ++i) ((T *)job.dh0)[state_of(r) + i] = from_end(job.dh_n, r)[i];
        panels<T>(s.first_unit, s.last_unit, [&](int64_t unit, auto vectors) {
            rows_from_gates<decltype(vectors)::value>(0, 0, started, columns_hh + unit * l.lines(), [&](int64_t r, const auto &sum) {
                put_row((T *)job.dh0 + state_of(r) + unit, sum, s.last_unit - unit);
            });
        });
    }
};

} // namespace TG_ISA
