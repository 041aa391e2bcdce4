// What a slot of work is: the plan of a call, shared by all instruction sets. Plain data, no functions.
#pragma once

#include "tidegate_lstm.h"

// A part of the work: some sequences of one direction, longest first, and some of the hidden units. Step s of a sequence of length n is time
// s, or n - 1 - s in the second direction, so that in both the first `active[s]` sequences are still running.
//
// Slots of other sequences or of the other direction never wait for each other. Where the weights are too large for a core's cache, or the
// sequences too few for the weights, the slots of a team share the sequences, and each has some of the units: they meet after each step.
struct tg_slot {
    int64_t direction;
    int64_t first_unit, last_unit; // of the hidden units, from whole panels on
    int64_t part, taken, parts;    // this slot is `taken` parts of `parts` from `part` on
    int64_t rows;                  // sequences
    int64_t steps;                 // of the longest
    const int64_t *row;            // [rows] number in the batch
    const int64_t *length;         // [rows] descending
    const int64_t *active;         // [steps + 1], the last 0
    const int64_t *place;          // [steps + 1] row in the slot's reserve where step s begins; the last: how many there are
    void *gates;                   // reserve: activated gates, later their gradients, [place[steps], gate_stride]; NULL for inference
    void *cells;                   // reserve: cell states [place[steps], padded]
    void *scratch;                 // of the size that the unit's `scratch_size` gives
    void *dx;                      // gradients of the inputs; of each direction apart, and added later
    void *dw_ih, *dw_hh, *db;      // the slot's own sums, in torch's order; NULL: not wanted
};

// Where the slots of a team meet. NULL: there is nobody to wait for.
struct tg_barrier;
void tg_meet(tg_barrier *barrier, int64_t taken);

struct tg_job {
    const tg_problem *p;
    const tg_weights *weights;
    const void *x, *h0, *c0, *dy, *dh_n, *dc_n;
    void *y, *h_n, *c_n, *dh0, *dc0;
    void *packed; // weights in the order the kernels read them: one block of `packed_size` for each direction
};

// One instruction set, for float32 and float64 or for products of bfloat16. Sizes are in elements.
struct tg_unit {
    int64_t (*padded)(int64_t dtype, int64_t hidden);      // hidden units with padding
    int64_t (*gate_stride)(int64_t dtype, int64_t hidden); // elements from one row of gates to the next
    int64_t (*packed_size)(const tg_problem *p, bool backward);
    int64_t (*scratch_size)(const tg_problem *p, int64_t rows, bool training, bool backward);
    // Parts 0 .. pack_parts may run at the same time.
    int64_t (*pack_parts)(const tg_problem *p, bool backward);
    void (*pack)(const tg_job *job, bool backward, int64_t part);
    void (*forward)(const tg_job *job, const tg_slot *slot, tg_barrier *barrier);
    void (*backward)(const tg_job *job, const tg_slot *slot, tg_barrier *barrier);
    int64_t (*panel)(int64_t dtype); // units in a whole panel
    // From here on only of float32 and float64. One step of one layer for a session: x [streams, I], state [streams, padded] in place.
    int64_t (*step_packed_size)(int64_t dtype, int64_t inputs, int64_t hidden);
    void (*step_pack)(int64_t dtype, int64_t inputs, int64_t hidden, const tg_weights *weights, void *packed);
    void (*step)(int64_t dtype, int64_t inputs, int64_t hidden, int64_t streams, const void *packed, const void *x, const void *h, void *h_next,
                 void *c);
    int64_t (*peak)(int64_t rounds); // returns the number of operations
};

// For float32 and float64.
extern const tg_unit tg_unit_baseline, tg_unit_avx2, tg_unit_avx512;
// For products of bfloat16.
extern const tg_unit tg_unit_avx512_bf16, tg_unit_amx;
const tg_unit *tg_unit_in_use(int64_t dtype);
