// A streaming session: one call a step, nothing allocated, nothing packed, no thread woken.
#include "job.h"

#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

struct tg_session {
    int64_t dtype, layers, streams, inputs, hidden, padded;
    const tg_unit *unit;
    char *memory;
};


namespace {

int64_t element(const tg_session &s) { return s.dtype == TG_FLOAT32 ? 4 : 8; }
int64_t inputs_of(const tg_session &s, int64_t layer) { return layer ? s.hidden : s.inputs; }
int64_t aligned(int64_t n) { return (n + 15) / 16 * 16; }

// Elements before each part: weights of the layers, then two hidden states (before and after a step) and a cell state for each.
int64_t weights_at(const tg_session &s, int64_t layer) {
    int64_t place = 0;
    for (int64_t i = 0; i < layer; ++i) place += aligned(s.unit->step_packed_size(s.dtype, inputs_of(s, i), s.hidden));
    return place;
}
int64_t state_size(const tg_session &s) { return aligned(s.streams * s.padded); }
int64_t state_at(const tg_session &s, int64_t layer, int64_t kind) {
    return weights_at(s, s.layers) + (layer * 3 + kind) * state_size(s) + aligned(s.streams * s.hidden);
}
char *place(const tg_session &s, int64_t elements) { return s.memory + elements * element(s); }
void copy(const tg_session &s, void *to, const void *from, int64_t to_width, int64_t from_width) {
    for (int64_t stream = 0; stream < s.streams; ++stream)
        memcpy((char *)to + stream * to_width * element(s), (const char *)from + stream * from_width * element(s), size_t(s.hidden * element(s)));
}

} // namespace

extern "C" tg_session *tg_session_new(int64_t dtype, int64_t layers, int64_t streams, int64_t inputs, int64_t hidden,
                                      const tg_weights *weights) {
    tg_session *s = (tg_session *)calloc(1, sizeof(tg_session));
    if (!s) return nullptr;
    s->dtype = dtype, s->layers = layers, s->streams = streams, s->inputs = inputs, s->hidden = hidden;
    s->unit = tg_unit_in_use(dtype);
    s->padded = s->unit->padded(dtype, hidden);
    const int64_t bytes = (state_at(*s, layers, 0) * element(*s) + 63) / 64 * 64;
    s->memory = (char *)aligned_alloc(64, size_t(bytes));
    if (!s->memory) {
        free(s);
        return nullptr;
    }
    memset(s->memory, 0, size_t(bytes));
    for (int64_t i = 0; i < layers; ++i) s->unit->step_pack(dtype, inputs_of(*s, i), hidden, weights + i, place(*s, weights_at(*s, i)));
    return s;
}

extern "C" int32_t tg_session_step(tg_session *session, const void *x, void *h) {
    tg_session &s = *session;
#if defined(__x86_64__)
    const unsigned mode = _mm_getcsr();
    _mm_setcsr(mode | 0x8040);
#endif
    char *dense = place(s, weights_at(s, s.layers));
    for (int64_t i = 0; i < s.layers; ++i) {
        char *before = place(s, state_at(s, i, 0)), *after = place(s, state_at(s, i, 1)), *cell = place(s, state_at(s, i, 2));
        s.unit->step(s.dtype, inputs_of(s, i), s.hidden, s.streams, place(s, weights_at(s, i)), x, before, after, cell);
        memcpy(before, after, size_t(s.streams * s.padded * element(s)));
        if (i + 1 < s.layers) copy(s, dense, after, s.hidden, s.padded), x = dense;
        else copy(s, h, after, s.hidden, s.padded);
    }
#if defined(__x86_64__)
    _mm_setcsr(mode);
#endif
    return TG_OK;
}

extern "C" void tg_session_get(const tg_session *session, void *h, void *c) {
    const tg_session &s = *session;
    const int64_t layer = s.streams * s.hidden * element(s);
    for (int64_t i = 0; i < s.layers; ++i) {
        if (h) copy(s, (char *)h + i * layer, place(s, state_at(s, i, 0)), s.hidden, s.padded);
        if (c) copy(s, (char *)c + i * layer, place(s, state_at(s, i, 2)), s.hidden, s.padded);
    }
}

extern "C" void tg_session_set(tg_session *session, const void *h, const void *c) {
    const tg_session &s = *session;
    const int64_t layer = s.streams * s.hidden * element(s);
    for (int64_t i = 0; i < s.layers; ++i) {
        if (h) copy(s, place(s, state_at(s, i, 0)), (const char *)h + i * layer, s.padded, s.hidden);
        if (c) copy(s, place(s, state_at(s, i, 2)), (const char *)c + i * layer, s.padded, s.hidden);
    }
}

extern "C" void tg_session_free(tg_session *session) {
    if (!session) return;
    free(session->memory);
    free(session);
}
