// Threads for a call: torch's pool where it was given, else the calling thread.
#pragma once

#include <atomic>

#include "job.h"

extern tg_parallel_for tg_pool;

template <class F> struct tg_work {
    F *call;
    int64_t count;
    std::atomic<int64_t> next;
    static void take(int64_t, int64_t, void *context) {
        tg_work &work = *(tg_work *)context;
        for (int64_t i; (i = work.next.fetch_add(1, std::memory_order_relaxed)) < work.count;) (*work.call)(i);
    }
};

// Runs call(i) for i in 0 .. count on at most `threads` threads. Whoever is free takes the next one: on a busy machine a thread that has
// lost its processor holds up only the part it has begun.
template <class F> void tg_each(int64_t count, int64_t threads, F call) {
    tg_work<F> work{&call, count, {0}};
    const int64_t helpers = threads < count ? threads : count;
    if (tg_pool && helpers > 1) tg_pool(0, helpers, 1, tg_work<F>::take, &work);
    tg_work<F>::take(0, 0, &work); // what is left, and everything where no pool helped
}

// Runs call(team, first part, end of parts, barrier) for `teams` teams of `parts` parts: each thread takes some parts of a team as one. Those of
// one team run at the same time and meet at the barrier. The pool hands out ranges; a thread that is given a whole team waits for nobody,
// so a pool that runs everything on one thread serves as well.
template <class F> struct tg_teams {
    F *call;
    int64_t parts;
    tg_barrier *barriers;
    static void take(int64_t begin, int64_t end, void *context) {
        tg_teams &work = *(tg_teams *)context;
        while (begin < end) {
            const int64_t team = begin / work.parts, last = (team + 1) * work.parts < end ? (team + 1) * work.parts : end;
            const bool whole = last - begin == work.parts;
            (*work.call)(team, begin % work.parts, begin % work.parts + (last - begin), whole ? nullptr : work.barriers + team);
            begin = last;
        }
    }
};

// Parts that spin for a while, then sleep: on a busy machine the one that is waited for may have lost its processor to another process, and a
// sleeping thread gives it back.
struct tg_barrier {
    std::atomic<int64_t> missing{0};
    std::atomic<int32_t> round{0};
    std::atomic<int32_t> asleep{0};
    int64_t parts = 0;
};

template <class F> void tg_each_team(int64_t teams, int64_t parts, tg_barrier *barriers, F call) {
    for (int64_t i = 0; i < teams; ++i) barriers[i].missing = barriers[i].parts = parts;
    tg_teams<F> work{&call, parts, barriers};
    if (tg_pool) tg_pool(0, teams * parts, 1, tg_teams<F>::take, &work);
    else tg_teams<F>::take(0, teams * parts, &work);
}
