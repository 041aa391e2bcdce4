// One instruction set: compiled once for each, with TG_ISA (the name) and TG_BYTES (the vector's width). Those that have products of bfloat16
// are for these alone.
#include "backward.h"

namespace TG_ISA {

// Calls f(a factor of the type that is multiplied).
template <class F> static INLINE auto by_type(int64_t dtype, F f) {
#if defined(__AVX512BF16__)
    (void)dtype;
    return f(Pair());
#else
    if (dtype == TG_FLOAT64) return f(double());
    return f(float());
#endif
}

template <class M> static void pack(const tg_job &job, bool backward, int64_t part) {
    typedef Sum<M> T;
    const tg_problem &p = *job.p;
    const Layout<M> l(p.inputs, p.hidden);
    const int64_t direction = part / l.blocks(), block = part % l.blocks();
    const tg_weights &w = job.weights[direction];
    if (backward) {
        M *out = (M *)job.packed + direction * l.backward_size();
        pack_lines((const T *)w.w_hh, p.hidden, l, block, out + l.columns_hh());
        pack_lines((const T *)w.w_ih, p.inputs, l, block, out + l.columns_ih());
        return;
    }
    M *out = (M *)job.packed + direction * l.forward_size();
    if (!block) pack_bias((const T *)w.b_ih, (const T *)w.b_hh, l, (T *)(out + l.bias()));
    pack_block((const T *)w.w_ih, p.inputs, l, block, out + l.w_ih() + block * 4 * WIDTH<T> * depth_of<M>(p.inputs));
    pack_block((const T *)w.w_hh, p.hidden, l, block, out + l.w_hh() + block * 4 * WIDTH<T> * depth_of<M>(p.hidden));
}

#if !defined(__AVX512BF16__)
// Sums over k in two halves: with one or two rows a single sum would wait for itself.
template <class T, int R>
OF_ITS_OWN static void multiply_halves(Vec<T> (&sums)[R][4], int64_t depth, const T *const *a, const T *b, int64_t apart) {
    Vec<T> sum[R][4], other[R][4] = {};
    copy(sums, sum);
    const T *first[R], *second[R];
    const int64_t half = depth / 2;
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) first[r] = a[r], second[r] = a[r] + half;
    const T *b2 = b + half * VECTORS * WIDTH<T>;
    for (int64_t k = 0; k < half; ++k, b += VECTORS * WIDTH<T>, b2 += VECTORS * WIDTH<T>) {
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            const Vec<T> x = all(first[r][k]), x2 = all(second[r][k]);
#pragma GCC unroll 8
            for (int v = 0; v < 4; ++v) {
                sum[r][v] += x * vector_of<T, 4>(b, v, apart);
                other[r][v] += x2 * vector_of<T, 4>(b2, v, apart);
            }
        }
    }
    if (depth % 2)
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
            for (int v = 0; v < 4; ++v) sum[r][v] += all(a[r][depth - 1]) * vector_of<T, 4>(b2, v, apart);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < 4; ++v) sums[r][v] = sum[r][v] + other[r][v];
}

template <class T>
static void step(int64_t inputs, int64_t hidden, int64_t streams, const T *packed, const T *x, const T *h, T *h_next, T *c) {
    constexpr int W = WIDTH<T>;
    const Layout<T> l(inputs, hidden);
    for (int64_t block = 0; block < l.blocks(); ++block) {
        const T *bias = packed + l.bias() + block * 4 * W, *w_ih = packed + l.w_ih() + block * 4 * W * inputs;
        const T *w_hh = packed + l.w_hh() + block * 4 * W * hidden;
        tiles(streams, [&](int64_t first, auto height, int64_t) {
            constexpr int R = decltype(height)::value, G = R <= FEW ? 4 : VECTORS;
            const T *rows_x[R], *rows_h[R];
            Vec<T> gates[R][4];
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) rows_x[r] = x + (first + r) * inputs, rows_h[r] = h + (first + r) * l.padded;
#pragma GCC unroll 2
            for (int gate = 0; gate < 4; gate += G) {
                Vec<T> sum[R][G];
                Forward<T>::start(sum, bias + gate * W);
                multiply(sum, inputs, rows_x, w_ih + gate * W * inputs, VECTORS * W * inputs);
                if constexpr (R <= VECTORS / 2) multiply_halves(sum, hidden, rows_h, w_hh, VECTORS * W * hidden);
                else multiply(sum, hidden, rows_h, w_hh + gate * W * hidden, VECTORS * W * hidden);
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
                    for (int v = 0; v < G; ++v) gates[r][gate + v] = sum[r][v];
            }
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) {
                const Vec<T> i = sigmoid(gates[r][0]), f = sigmoid(gates[r][1]), g = tanh(gates[r][2]), o = sigmoid(gates[r][3]);
                T *cell = c + (first + r) * l.padded + block * W;
                const Vec<T> next = f * load(cell) + i * g;
                store(cell, next);
                store(h_next + (first + r) * l.padded + block * W, o * tanh(next));
            }
        });
    }
}

// A dozen independent sums (one a register) are enough to keep every arithmetic unit busy. The empty assembly keeps the compiler from
// removing the loop or taking the sums out of their registers.
static int64_t peak(int64_t rounds) {
    constexpr int SUMS = 12;
    Vec<float> sum[SUMS] = {};
    const Vec<float> factor = all(0.5f), term = all(1.0f);
    for (int64_t round = 0; round < rounds; ++round)
#pragma GCC unroll 16
        for (int i = 0; i < SUMS; ++i) {
            sum[i] = sum[i] * factor + term;
#if defined(__x86_64__)
#if defined(__AVX512F__)
            __asm__ volatile("" : "+v"(sum[i]));
#else
            __asm__ volatile("" : "+x"(sum[i]));
#endif
#endif
        }
    return rounds * SUMS * WIDTH<float> * 2;
}
#endif

} // namespace TG_ISA

using namespace TG_ISA;

#define UNIT_(x) tg_unit_##x
#define UNIT(x) UNIT_(x)

extern const tg_unit UNIT(TG_ISA);
const tg_unit UNIT(TG_ISA) = {
    [](int64_t dtype, int64_t hidden) { return by_type(dtype, [&](auto one) { return Layout<decltype(one)>(0, hidden).padded; }); },
    [](int64_t dtype, int64_t hidden) { return by_type(dtype, [&](auto one) { return Layout<decltype(one)>(0, hidden).stride; }); },
    [](const tg_problem *p, bool backward) {
        return by_type(p->dtype, [&](auto one) {
            const Layout<decltype(one)> l(p->inputs, p->hidden);
            return backward ? l.backward_size() : l.forward_size();
        });
    },
    [](const tg_problem *p, int64_t rows, bool training, bool backward) {
        return by_type(p->dtype, [&](auto one) {
            typedef decltype(one) M;
            return backward ? Backward<M>::scratch_size(*p, rows) : Forward<M>::scratch_size(*p, rows, training);
        });
    },
    [](const tg_problem *p, bool) {
        return p->directions * by_type(p->dtype, [&](auto one) { return Layout<decltype(one)>(0, p->hidden).blocks(); });
    },
    [](const tg_job *job, bool backward, int64_t part) {
        by_type(job->p->dtype, [&](auto one) { pack<decltype(one)>(*job, backward, part); });
    },
    [](const tg_job *job, const tg_slot *slot, tg_barrier *barrier) {
        by_type(job->p->dtype, [&](auto one) { Forward<decltype(one)>(*job, *slot).run(barrier); });
    },
    [](const tg_job *job, const tg_slot *slot, tg_barrier *barrier) {
        by_type(job->p->dtype, [&](auto one) { Backward<decltype(one)>(*job, *slot).run(barrier); });
    },
    [](int64_t dtype) { return by_type(dtype, [](auto one) { return int64_t(VECTORS) * WIDTH<decltype(one)>; }); },
#if defined(__AVX512BF16__)
    nullptr,
    nullptr,
    nullptr,
    nullptr,
#else
    [](int64_t dtype, int64_t inputs, int64_t hidden) {
        return dtype == TG_FLOAT64 ? Layout<double>(inputs, hidden).forward_size() : Layout<float>(inputs, hidden).forward_size();
    },
    [](int64_t dtype, int64_t inputs, int64_t hidden, const tg_weights *weights, void *packed) {
        const tg_problem p = {dtype, 1, 0, 0, inputs, hidden, 1, nullptr, nullptr, {}, {}, {}, {}};
        tg_job job = {};
        job.p = &p;
        job.weights = weights;
        job.packed = packed;
        by_type(dtype, [&](auto one) {
            for (int64_t block = 0; block < Layout<decltype(one)>(0, hidden).blocks(); ++block) pack<decltype(one)>(job, false, block);
        });
    },
    [](int64_t dtype, int64_t inputs, int64_t hidden, int64_t streams, const void *packed, const void *x, const void *h, void *h_next, void *c) {
        if (dtype == TG_FLOAT64)
            step(inputs, hidden, streams, (const double *)packed, (const double *)x, (const double *)h, (double *)h_next, (double *)c);
        else step(inputs, hidden, streams, (const float *)packed, (const float *)x, (const float *)h, (float *)h_next, (float *)c);
    },
    peak,
#endif
};
