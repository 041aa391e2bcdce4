// The backward pass of one slot (backpropagation through time): the gradients of the gates overwrite the gates, step by step from the last;
// every few steps they are used up for the gradients of weights and inputs while they are still in the cache.
#pragma once

#include "forward.h"

namespace TG_ISA {

constexpr int64_t DEPTH = 256; // sequences times steps that one product for the weights' gradients sums over

template <class T> struct Backward {
    const tg_job &job;
    const tg_problem &p;
    const tg_slot &s;
    const Layout<T> l;
    const T *columns_hh, *columns_ih;
    T *gates, *dc, *zeros, *tall, *panel;
    T *db;
    const T *cells;
    const T **gate_rows, **x_rows, **h_rows; // of the steps whose weight gradients are still to be summed
    int64_t waiting = 0;
    bool first_sum = true;

    Backward(const tg_job &job_, const tg_slot &s_)
        : job(job_), p(*job_.p), s(s_), l(p.inputs, p.hidden),
          columns_hh((const T *)job.packed + s.direction * l.backward_size() + l.columns_hh()),
          columns_ih((const T *)job.packed + s.direction * l.backward_size() + l.columns_ih()), gates((T *)s.gates), cells((const T *)s.cells) {
        T *free = (T *)s.scratch;
        const int64_t deep = DEPTH + s.rows;
        zeros = free;
        dc = zeros + l.padded;
        db = dc + s.rows * l.padded;
        tall = db + 4 * l.padded;
        panel = tall + deep * strips(l) * ROWS;
        gate_rows = (const T **)(panel + deep * 4 * WIDTH<T>);
        x_rows = gate_rows + deep;
        h_rows = x_rows + deep;
    }
    // Strips of ROWS columns of the gates' gradients, the last perhaps not full.
    static int64_t strips(const Layout<T> &l) { return (4 * l.padded + ROWS - 1) / ROWS; }
    static int64_t scratch_size(const tg_problem &p, int64_t rows) {
        const Layout<T> l(p.inputs, p.hidden);
        const int64_t deep = DEPTH + rows;
        const int64_t pointers = (3 * deep * int64_t(sizeof(void *)) + int64_t(sizeof(T)) - 1) / int64_t(sizeof(T));
        return l.padded * (1 + rows + 4) + deep * (strips(l) * ROWS + 4 * WIDTH<T>) + pointers;
    }

    T *gates_of(int64_t r, int64_t step) const { return gates + (s.place[step] + r) * l.stride; }
    const T *y_of(int64_t r, int64_t step) const {
        return (const T *)job.y + offset(p, p.y, time_of(s, r, step), s.row[r]) + s.direction * p.hidden;
    }
    int64_t state_of(int64_t r) const { return (s.direction * p.batch + s.row[r]) * p.hidden; }
    // The gradient that reaches the last hidden or cell state of a sequence from outside.
    const T *from_end(const void *given, int64_t r) const { return given ? (const T *)given + state_of(r) : zeros; }

    void run() {
        for (int64_t i = 0; i < l.padded * (1 + s.rows) + 4 * l.padded; ++i) zeros[i] = 0; // and dc, db
        const bool summed = s.dw_ih || s.dw_hh;
        for (int64_t step = s.steps; step-- > 0;) {
            go_back(step);
            if (s.dx) inputs_of(step);
            if (summed) {
                remember(step);
                if (step == 0 || waiting >= DEPTH) sum_weights();
            }
        }
        if (summed && !s.steps) clear_weights();
        if (s.db)
            for (int64_t unit = 0; unit < p.hidden; ++unit)
                for (int gate = 0; gate < 4; ++gate)
                    ((T *)s.db)[gate * p.hidden + unit] = db[(unit / WIDTH<T> * 4 + gate) * WIDTH<T> + unit % WIDTH<T>];
        if (s.dx) clear_rest_of_inputs();
        first_states();
    }

    // Gradients of the gates of one step, from those of the step after it.
    void go_back(int64_t step) {
        const int64_t rows = s.active[step], going_on = s.active[step + 1];
        for (int64_t r = going_on; r < rows; ++r) { // sequences that end with this step
            const T *given = from_end(job.dc_n, r);
            for (int64_t i = 0; i < p.hidden; ++i) dc[r * l.padded + i] = given[i];
        }
        panels<T>(p.hidden, [&](int64_t unit, auto vectors) {
            constexpr int V = decltype(vectors)::value;
            tiles(going_on, [&](int64_t first, auto height) { tile<decltype(height)::value, V>(step, first, unit, true); });
            tiles(rows - going_on, [&](int64_t first, auto height) {
                tile<decltype(height)::value, V>(step, going_on + first, unit, false);
            });
        });
    }

    template <int R, int V> INLINE void tile(int64_t step, int64_t first, int64_t unit, bool goes_on) {
        constexpr int W = WIDTH<T>;
        T stage[R][V * W] __attribute__((aligned(64)));
        if (goes_on) {
            const T *after[R];
            Vec<T> dh[R][V] = {};
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) after[r] = gates_of(first + r, step + 1);
            multiply(dh, 4 * l.padded, after, columns_hh + unit * 4 * l.padded);
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
                for (int v = 0; v < V; ++v) store(stage[r] + v * W, dh[r][v]);
        } else
            for (int r = 0; r < R; ++r)
                for (int v = 0; v < V; ++v)
                    store(stage[r] + v * W, load_part(from_end(job.dh_n, first + r) + unit + v * W, p.hidden - unit - v * W));
        const T *dy[R], *before[R];
        for (int r = 0; r < R; ++r) {
            const int64_t q = first + r;
            dy[r] = nullptr;
            if (job.dy) dy[r] = (const T *)job.dy + offset(p, p.dy, time_of(s, q, step), s.row[q]) + s.direction * p.hidden + unit;
            before[r] = zeros + unit;
            if (step) before[r] = cells + (s.place[step - 1] + q) * l.padded + unit;
            else if (job.c0) before[r] = (const T *)job.c0 + state_of(q) + unit;
        }
        for (int v = 0; v < V; ++v) {
            const int64_t left = p.hidden - unit - v * W;
            T *bias = db + (unit + v * W) * 4;
            Vec<T> bi = load(bias), bf = load(bias + W), bg = load(bias + 2 * W), bo = load(bias + 3 * W);
            for (int r = 0; r < R; ++r) {
                T *gate = gates_of(first + r, step) + (unit + v * W) * 4;
                const Vec<T> i = load(gate), f = load(gate + W), g = load(gate + 2 * W), o = load(gate + 3 * W);
                const Vec<T> tc = tanh(load(cells + (s.place[step] + first + r) * l.padded + unit + v * W));
                Vec<T> dh = load(stage[r] + v * W);
                if (dy[r]) dh += load_part(dy[r] + v * W, left);
                T *dcs = dc + (first + r) * l.padded + unit + v * W;
                const Vec<T> d = load(dcs) + dh * o * (T(1) - tc * tc);
                Vec<T> di = d * g * i * (T(1) - i), df = d * load_part(before[r] + v * W, left) * f * (T(1) - f);
                Vec<T> dg = d * i * (T(1) - g * g), doo = dh * tc * o * (T(1) - o);
                if (left < W) di = keep<T>(di, left), df = keep<T>(df, left), dg = keep<T>(dg, left), doo = keep<T>(doo, left);
                store(gate, di);
                store(gate + W, df);
                store(gate + 2 * W, dg);
                store(gate + 3 * W, doo);
                store(dcs, d * f);
                bi += di, bf += df, bg += dg, bo += doo;
            }
            store(bias, bi);
            store(bias + W, bf);
            store(bias + 2 * W, bg);
            store(bias + 3 * W, bo);
        }
    }

    // Gradients of one step's inputs, into their place.
    void inputs_of(int64_t step) {
        panels<T>(p.inputs, [&](int64_t column, auto vectors) {
            constexpr int V = decltype(vectors)::value;
            tiles(s.active[step], [&](int64_t first, auto height) {
                constexpr int R = decltype(height)::value;
                const T *rows[R];
                Vec<T> sum[R][V] = {};
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r) rows[r] = gates_of(first + r, step);
                multiply(sum, 4 * l.padded, rows, columns_ih + column * 4 * l.padded);
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r) put_row(dx_of(first + r, time_of(s, first + r, step)) + column, sum[r], p.inputs - column);
            });
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

    void remember(int64_t step) {
        for (int64_t r = 0; r < s.active[step]; ++r, ++waiting) {
            gate_rows[waiting] = gates_of(r, step);
            x_rows[waiting] = (const T *)job.x + offset(p, p.x, time_of(s, r, step), s.row[r]);
            h_rows[waiting] = step ? y_of(r, step - 1) : job.h0 ? (const T *)job.h0 + state_of(r) : zeros;
        }
    }

    void sum_weights() {
        pack_tall();
        if (s.dw_ih) products(x_rows, p.inputs, (T *)s.dw_ih);
        if (s.dw_hh) products(h_rows, p.hidden, (T *)s.dw_hh);
        waiting = 0;
        first_sum = false;
    }
    void clear_weights() {
        for (int64_t i = 0; s.dw_ih && i < 4 * p.hidden * p.inputs; ++i) ((T *)s.dw_ih)[i] = 0;
        for (int64_t i = 0; s.dw_hh && i < 4 * p.hidden * p.hidden; ++i) ((T *)s.dw_hh)[i] = 0;
    }

    // The gates' gradients as strips of ROWS columns, [strips][waiting][ROWS].
    void pack_tall() {
        const int64_t lines = 4 * l.padded;
        for (int64_t begin = 0; begin < waiting; begin += 64) { // of 64 rows the pages stay in the TLB
            const int64_t end = begin + 64 < waiting ? begin + 64 : waiting;
            for (int64_t first = 0; first < lines; first += ROWS) {
                T *out = tall + first * waiting + begin * ROWS;
                const int64_t wide = lines - first;
                if (wide >= ROWS)
                    for (int64_t k = begin; k < end; ++k, out += ROWS) {
                        const T *row = gate_rows[k] + first;
#pragma GCC unroll 8
                        for (int i = 0; i < ROWS; ++i) out[i] = row[i];
                    }
                else
                    for (int64_t k = begin; k < end; ++k, out += ROWS)
                        for (int64_t i = 0; i < wide; ++i) out[i] = gate_rows[k][first + i];
            }
        }
    }

    // out [4H, columns] (+)= gates' gradients, transposed, times the rows of x or h.
    void products(const T *const *rows, int64_t columns, T *out) {
        constexpr int W = WIDTH<T>;
        const int64_t lines = 4 * l.padded;
        panels<T>(columns, [&](int64_t column, auto vectors) {
            constexpr int V = decltype(vectors)::value;
            for (int64_t k = 0; k < waiting; ++k)
                for (int v = 0; v < V; ++v) store(panel + (k * V + v) * W, load_part(rows[k] + column + v * W, columns - column - v * W));
            for (int64_t first = 0; first < lines; first += ROWS) {
                const int64_t height = lines - first < ROWS ? lines - first : ROWS;
                by_height(height, first, [&](int64_t line, auto number) {
                    constexpr int R = decltype(number)::value;
                    Vec<T> sum[R][V] = {};
                    multiply_columns(sum, waiting, tall + line * waiting, ROWS, panel);
#pragma GCC unroll 8
                    for (int r = 0; r < R; ++r) put<V>(sum[r], line + r, column, columns, out);
                });
            }
        });
    }
    // A row of sums to its gate's row in torch's order.
    template <int V> INLINE void put(const Vec<T> (&sum)[V], int64_t line, int64_t column, int64_t columns, T *out) {
        constexpr int W = WIDTH<T>;
        const int64_t unit = line / (4 * W) * W + line % W, gate = line / W % 4;
        if (unit >= p.hidden) return;
        T *place = out + (gate * p.hidden + unit) * columns + column;
        for (int v = 0; v < V; ++v) {
            const int64_t left = columns - column - v * W;
            store_part(place + v * W, first_sum ? sum[v] : sum[v] + load_part(place + v * W, left), left);
        }
    }

    // Gradients of the initial states.
    void first_states() {
        if (job.dc0)
            for (int64_t r = 0; r < s.rows; ++r) {
                const T *from = s.length[r] ? dc + r * l.padded : from_end(job.dc_n, r);
                for (int64_t i = 0; i < p.hidden; ++i) ((T *)job.dc0)[state_of(r) + i] = from[i];
            }
        if (!job.dh0) return;
        const int64_t started = s.steps ? s.active[0] : 0;
        for (int64_t r = started; r < s.rows; ++r)
            for (int64_t i = 0; i < p.hidden; ++i) ((T *)job.dh0)[state_of(r) + i] = from_end(job.dh_n, r)[i];
        panels<T>(p.hidden, [&](int64_t unit, auto vectors) {
            constexpr int V = decltype(vectors)::value;
            tiles(started, [&](int64_t first, auto height) {
                constexpr int R = decltype(height)::value;
                const T *rows[R];
                Vec<T> sum[R][V] = {};
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r) rows[r] = gates_of(first + r, 0);
                multiply(sum, 4 * l.padded, rows, columns_hh + unit * 4 * l.padded);
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r) put_row((T *)job.dh0 + state_of(first + r) + unit, sum[r], p.hidden - unit);
            });
        });
    }
};

} // namespace TG_ISA
