/* The C interface on buffers of exactly the size that is promised, for AddressSanitizer and valgrind: no write and no read beyond them.
 * Outputs are compared with the six equations written out, gradients with differences of the outputs. REAL is double unless
 * it is defined otherwise; with BFLOAT16 what is multiplied is rounded. Says nothing where all is well. */
#include "tidegate_lstm.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef REAL
#define REAL double
#endif
typedef REAL real;
#ifdef BFLOAT16
#define DTYPE TG_BFLOAT16
#define TOLERANCE 2e-2
#else
#define DTYPE (sizeof(real) == 4 ? TG_FLOAT32 : TG_FLOAT64)
#define TOLERANCE (sizeof(real) == 4 ? 1e-5 : 1e-12)
#endif

static real *some(size_t n, unsigned seed) {
    real *p = malloc(n * sizeof *p + !n);
    for (size_t i = 0; i < n; ++i) {
        seed = seed * 1664525u + 1013904223u;
        p[i] = (real)(seed >> 8) / (1 << 24) - 0.5;
    }
    return p;
}
static double sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }

/* One sequence in one direction by the equations; h and c in place. */
static void equations(const tg_weights *w, int I, int H, int steps, int backwards, const real *x, int T, real *h, real *c, real *y, int wide) {
    real *gates = malloc(4 * (size_t)H * sizeof *gates);
    (void)T;
    for (int s = 0; s < steps; ++s) {
        const int t = backwards ? steps - 1 - s : s;
        for (int g = 0; g < 4 * H; ++g) {
            double sum = ((const real *)w->b_ih)[g] + ((const real *)w->b_hh)[g];
            for (int i = 0; i < I; ++i) sum += ((const real *)w->w_ih)[g * I + i] * x[t * I + i];
            for (int i = 0; i < H; ++i) sum += ((const real *)w->w_hh)[g * H + i] * h[i];
            gates[g] = sum;
        }
        for (int i = 0; i < H; ++i) {
            c[i] = sigmoid(gates[H + i]) * c[i] + sigmoid(gates[i]) * tanh(gates[2 * H + i]);
            h[i] = sigmoid(gates[3 * H + i]) * tanh(c[i]);
            y[t * wide + i] = h[i];
        }
    }
    free(gates);
}

static int failures = 0;
static void same(const char *what, double a, double b, double tolerance) {
    if (!(fabs(a - b) <= tolerance)) {
        printf("%s: %g, expected %g (%s)\n", what, a, b, tg_isa());
        ++failures;
    }
}

static void check(int B, int T, int I, int H, int D, int varied, unsigned seed) {
    int64_t *lengths = malloc(sizeof *lengths * (size_t)B);
    for (int b = 0; b < B; ++b) lengths[b] = varied ? (b * 7 + (int)seed) % (T + 1) : T;
    const size_t in = (size_t)B * T * I, out = (size_t)B * T * D * H, state = (size_t)D * B * H, ih = 4 * (size_t)H * I, hh = 4 * (size_t)H * H;
    real *x = some(in, seed), *h0 = some(state, seed + 1), *c0 = some(state, seed + 2), *dy = some(out, seed + 3);
    real *dh = some(state, seed + 4), *dc = some(state, seed + 5);
    real *y = some(out, 0), *hn = some(state, 0), *cn = some(state, 0), *dx = some(in, 0), *dh0 = some(state, 0), *dc0 = some(state, 0);
    tg_weights w[2];
    tg_gradients g[2];
    int tests_of_gradients = 5;
    for (int d = 0; d < D; ++d) {
        w[d] = (tg_weights){some(ih, seed + 6), some(hh, seed + 7), some(4 * (size_t)H, seed + 8), some(4 * (size_t)H, seed + 9)};
        g[d] = (tg_gradients){some(ih, 0), some(hh, 0), some(4 * (size_t)H, 0)};
    }
    tg_problem p = {DTYPE, D, B, T, I, H, 2, varied ? lengths : NULL, NULL, {I, (int64_t)T * I}, {D * H, (int64_t)T * D * H}, {I, (int64_t)T * I},
                    {D * H, (int64_t)T * D * H}};
    real *reserve = malloc(sizeof *reserve * (size_t)tg_reserve_size(&p));
    same("forward", tg_forward(&p, w, x, h0, c0, y, hn, cn, reserve), 0, 0);
    for (int d = 0; d < D; ++d)
        for (int b = 0; b < B; ++b) {
            real *h = malloc(sizeof *h * (size_t)H), *c = malloc(sizeof *c * (size_t)H), *expected = calloc((size_t)T * H, sizeof *expected);
            memcpy(h, h0 + (d * B + b) * H, sizeof *h * (size_t)H);
            memcpy(c, c0 + (d * B + b) * H, sizeof *c * (size_t)H);
            equations(w + d, I, H, (int)lengths[b], d, x + (size_t)b * T * I, T, h, c, expected, H);
            for (int i = 0; i < T * H; ++i) same("y", y[((size_t)b * T + i / H) * D * H + d * H + i % H], expected[i], TOLERANCE);
            for (int i = 0; i < H; ++i) same("h_n", hn[(d * B + b) * H + i], h[i], TOLERANCE), same("c_n", cn[(d * B + b) * H + i], c[i], TOLERANCE);
            free(h), free(c), free(expected);
        }
    same("backward", tg_backward(&p, w, x, h0, c0, y, reserve, dy, dh, dc, dx, dh0, dc0, g), 0, 0);
    /* The change of the score when one weight changes; single precision cannot tell it. */
    if (sizeof(real) == 4) tests_of_gradients = 0;
    real *places[] = {(real *)w[0].w_ih, (real *)w[D - 1].w_hh, (real *)w[0].b_ih, x, c0};
    real *found[] = {g[0].w_ih, g[D - 1].w_hh, g[0].b, dx, dc0};
    const size_t sizes[] = {ih, hh, 4 * (size_t)H, in, state};
    for (int k = 0; k < tests_of_gradients; ++k) {
        const size_t at = (seed * 31 + 7 * (unsigned)k) % sizes[k];
        double score[2];
        for (int side = 0; side < 2; ++side) {
            const real before = places[k][at];
            places[k][at] += side ? 1e-5 : -1e-5;
            tg_forward(&p, w, x, h0, c0, y, hn, cn, NULL);
            places[k][at] = before;
            score[side] = 0;
            for (size_t i = 0; i < out; ++i) score[side] += y[i] * dy[i];
            for (size_t i = 0; i < state; ++i) score[side] += hn[i] * dh[i] + cn[i] * dc[i];
        }
        same("gradient", found[k][at], (score[1] - score[0]) / 2e-5, 1e-6);
    }
    for (int d = 0; d < D; ++d) {
        free((void *)w[d].w_ih), free((void *)w[d].w_hh), free((void *)w[d].b_ih), free((void *)w[d].b_hh);
        free(g[d].w_ih), free(g[d].w_hh), free(g[d].b);
    }
    free(lengths), free(x), free(h0), free(c0), free(dy), free(dh), free(dc), free(y), free(hn), free(cn), free(dx), free(dh0), free(dc0), free(reserve);
}

static void check_session(int streams, int I, int H) {
    tg_weights w[2];
    for (int d = 0; d < 2; ++d) {
        const size_t wide = (size_t)(d ? H : I);
        w[d] = (tg_weights){some(4 * (size_t)H * wide, 6), some(4 * (size_t)H * H, 7), some(4 * (size_t)H, 8), some(4 * (size_t)H, 9)};
    }
    tg_session *s = tg_session_new(DTYPE, 2, streams, I, H, w);
    real *x = some((size_t)streams * I, 3), *y = some((size_t)streams * H, 0);
    real *h = calloc(2 * (size_t)streams * H, sizeof *h), *c = calloc(2 * (size_t)streams * H, sizeof *c);
    for (int step = 0; step < 3; ++step) {
        same("step", tg_session_step(s, x, y), 0, 0);
        for (int b = 0; b < streams; ++b) {
            real *first = h + b * H, *second = h + (streams + b) * H, *out = some((size_t)H, 0);
            equations(w, I, H, 1, 0, x + b * I, 1, first, c + b * H, out, H);
            equations(w + 1, H, H, 1, 0, first, 1, second, c + (streams + b) * H, out, H);
            for (int i = 0; i < H; ++i) same("stream", y[b * H + i], second[i], TOLERANCE);
            free(out);
        }
    }
    tg_session_get(s, h, c);
    tg_session_set(s, h, c);
    tg_session_free(s);
    for (int d = 0; d < 2; ++d) free((void *)w[d].w_ih), free((void *)w[d].w_hh), free((void *)w[d].b_ih), free((void *)w[d].b_hh);
    free(x), free(y), free(h), free(c);
}

int main(int count, char **names) {
    const int sizes[] = {1, 3, 8, 9, 16, 33, 50};
    for (int k = 1; k < count; ++k) {
        if (tg_set_isa(names[k]) || (DTYPE == TG_BFLOAT16 && !tg_has_bfloat16())) continue;
        unsigned seed = 1;
        for (int i = 0; i < 7; ++i)
            for (int j = 0; j < 7; j += 2)
                for (int D = 1; D <= 2; ++D, ++seed) check(1 + (int)(seed % 9), 1 + (int)(seed % 5), sizes[j], sizes[i], D, seed % 2, seed);
        for (int streams = 1; streams < 8 && DTYPE != TG_BFLOAT16; ++streams) check_session(streams, sizes[streams % 7], sizes[(streams + 3) % 7]);
    }
    return failures != 0;
}
