// Threads for a call: torch's pool where it was given, else the calling thread.
#pragma once

#include "tidegate_lstm.h"

// Runs call(i) for i in 0 .. count on at most `threads` threads. Whoever is free takes the next one: on a busy machine a thread that has
// lost its processor holds up only the part it has begun.
template <class F> void tg_each(int64_t count, int64_t threads, F call);

extern tg_parallel_for tg_pool;

#include <atomic>

template <class F> struct tg_work {
    F *call;
    int64_t count;
    std::atomic<int64_t> next;
    static void take(int64_t, int64_t, void *context) {
        tg_work &work = *(tg_work *)context;
        for (int64_t i; (i = work.next.fetch_add(1, std::memory_order_relaxed)) < work.count;) (*work.call)(i);
    }
};

template <class F> void tg_each(int64_t count, int64_t threads, F call) {
    tg_work<F> work{&call, count, {0}};
    const int64_t helpers = threads < count ? threads : count;
    if (tg_pool && helpers > 1) tg_pool(0, helpers, 1, tg_work<F>::take, &work);
    tg_work<F>::take(0, 0, &work); // what is left, and everything where no pool helped
}
