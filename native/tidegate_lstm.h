/* The LSTM layer as plain C: pointers, strides and sizes; no torch and no Python headers.
 *
 * One call computes one layer, in one or both directions, over a whole batch and all time steps. Letters: B batch, T steps, I inputs,
 * H hidden, D directions. Gates lie in torch.nn.LSTM's order i, f, g, o in all weights: w_ih [4H, I], w_hh [4H, H], b_ih and b_hh [4H].
 */
#ifndef TIDEGATE_LSTM_H
#define TIDEGATE_LSTM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TG_API __attribute__((visibility("default")))
#define TG_ABI_VERSION 2

/* TG_BFLOAT16: all that goes in and out is float32 and so are all sums, but what is multiplied is rounded to bfloat16 first. */
enum { TG_FLOAT32 = 0, TG_FLOAT64 = 1, TG_BFLOAT16 = 2 };
enum { TG_OK = 0, TG_OUT_OF_MEMORY = 1, TG_BAD_ARGUMENT = 2 };

/* Where a row of a sequence tensor lies: base + (packed ? packed[t] : t) * time + b * row, in elements; the row itself is dense. */
typedef struct {
    int64_t time;
    int64_t row;
} tg_strides;

typedef struct {
    int64_t dtype;
    int64_t directions;
    int64_t batch;
    int64_t steps;
    int64_t inputs;
    int64_t hidden;
    int64_t threads;        /* at most so many work; the result depends on it only by rounding */
    const int64_t *lengths; /* [B], 0 to T; NULL: all T */
    const int64_t *packed;  /* [T], rows before each step in packed x, y and their gradients; NULL: padded */
    tg_strides x, y, dx, dy;
} tg_problem;

/* Weights of a direction; biases may be NULL. */
typedef struct {
    const void *w_ih, *w_hh, *b_ih, *b_hh;
} tg_weights;

/* Gradients of a direction, overwritten; db (one for both biases) may be NULL. */
typedef struct {
    void *w_ih, *w_hh, *b;
} tg_gradients;

/* How threads are enlisted: call(begin, end, context) for ranges that cover 0 .. count, any of them at the same time. torch's pool has
 * this form (torch_parallel_for). */
typedef void (*tg_range)(int64_t begin, int64_t end, void *context);
typedef int32_t (*tg_parallel_for)(int64_t begin, int64_t end, int64_t grain, tg_range call, void *context);

TG_API int64_t tg_abi_version(void);
/* Name of the instruction set in use: "amx" or "avx512_bf16" (which are "avx512" with products of bfloat16),
 * "avx512", "avx2" or "baseline". */
TG_API const char *tg_isa(void);
/* Whether the instruction set in use has products of bfloat16. */
TG_API int32_t tg_has_bfloat16(void);
/* Use another instruction set from now on. TG_BAD_ARGUMENT where this processor or build does not have it. */
TG_API int32_t tg_set_isa(const char *name);
/* Use a pool of threads that is there already; NULL: one thread. */
TG_API void tg_set_pool(tg_parallel_for pool);

/* A loop of multiplications and additions in registers, for measuring what the processor can do at most: runs it `rounds` times on each of
 * `threads` threads of the pool and returns how many operations that were. */
TG_API int64_t tg_peak_loop(int64_t rounds, int64_t threads);

/* Elements of the tensor that tg_forward leaves for tg_backward; shorter sequences need less. */
TG_API int64_t tg_reserve_size(const tg_problem *problem);

/* y is the output of every step, D*H wide; h0, c0 (NULL: zeros), h_n, c_n are [D, B, H]. reserve NULL: no gradients are wanted. */
TG_API int32_t tg_forward(const tg_problem *problem, const tg_weights *weights, const void *x, const void *h0, const void *c0, void *y,
                          void *h_n, void *c_n, void *reserve);

/* The reserve is used up. dy, dh_n, dc_n may be NULL (zero); dx, dh0, dc0 and gradients may be NULL (not wanted). */
TG_API int32_t tg_backward(const tg_problem *problem, const tg_weights *weights, const void *x, const void *h0, const void *c0,
                           const void *y, void *reserve, const void *dy, const void *dh_n, const void *dc_n, void *dx, void *dh0,
                           void *dc0, const tg_gradients *gradients);

/* A streaming session: stacked layers with packed weights, and the state of some streams. */
typedef struct tg_session tg_session;
TG_API tg_session *tg_session_new(int64_t dtype, int64_t layers, int64_t streams, int64_t inputs, int64_t hidden, const tg_weights *weights);
/* x [streams, I] in, h of the top layer [streams, H] out. */
TG_API int32_t tg_session_step(tg_session *session, const void *x, void *h);
/* States of all layers, [layers, streams, H]; either may be NULL. */
TG_API void tg_session_get(const tg_session *session, void *h, void *c);
TG_API void tg_session_set(tg_session *session, const void *h, const void *c);
TG_API void tg_session_free(tg_session *session);

#ifdef __cplusplus
}
#endif
#endif
