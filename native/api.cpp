// The C interface: plans a call, shares it out among threads, adds what they found.
#include "job.h"
#include "pool.h"

#include <new>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

tg_parallel_for tg_pool = nullptr;

#if defined(__x86_64__)
[[maybe_unused]] static bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
static bool has_avx512() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}
[[maybe_unused]] static bool has_avx512_bf16() { return has_avx512() && __builtin_cpu_supports("avx512bf16"); }
// Also asks the system for the tiles' registers, which a process has only when it has asked.
[[maybe_unused]] static bool has_amx() {
#if defined(__linux__)
    constexpr long REQUEST = 0x1023, TILE_DATA = 18;
    unsigned a, b, c, d;
    if (!has_avx512_bf16() || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
    const unsigned needed = 1u << 22 | 1u << 24; // AMX-BF16, AMX-TILE
    return (d & needed) == needed && !syscall(SYS_arch_prctl, REQUEST, TILE_DATA);
#else
    return false;
#endif
}
#endif

// What a processor may have. `rounded`: products of bfloat16, or NULL; `taken`: whether it is taken unasked.
struct tg_set {
    const char *name;
    const tg_unit *plain, *rounded;
    bool (*there)(), (*taken)();
};
static bool always() { return true; }
// From the least on.
static const tg_set SETS[] = {
    {"baseline", &tg_unit_baseline, nullptr, always, always},
#if defined(TG_HAS_AVX2)
    {"avx2", &tg_unit_avx2, nullptr, has_avx2, always},
#endif
#if defined(TG_HAS_AVX512)
    {"avx512", &tg_unit_avx512, nullptr, has_avx512, always},
#endif
#if defined(TG_HAS_AVX512_BF16)
    // On Intel's processors these products take twice as long as on AMD's: longer than those of float32.
    {"avx512_bf16", &tg_unit_avx512, &tg_unit_avx512_bf16, has_avx512_bf16, [] { return !__builtin_cpu_is("intel"); }},
#endif
#if defined(TG_HAS_AMX)
    {"amx", &tg_unit_avx512, &tg_unit_amx, has_amx, always},
#endif
};

static std::atomic<const tg_set *> chosen{nullptr};
static const tg_set &in_use() {
    const tg_set *found = chosen.load(std::memory_order_acquire);
    if (found) return *found;
    for (const tg_set &set : SETS)
        if (set.taken() && set.there()) found = &set;
    chosen.store(found, std::memory_order_release);
    return *found;
}

const tg_unit *tg_unit_in_use(int64_t dtype) {
    const tg_set &set = in_use();
    return dtype == TG_BFLOAT16 && set.rounded ? set.rounded : set.plain;
}

extern "C" int64_t tg_abi_version(void) { return TG_ABI_VERSION; }
extern "C" const char *tg_isa(void) { return in_use().name; }
extern "C" int32_t tg_has_bfloat16(void) { return in_use().rounded != nullptr; }
extern "C" void tg_set_pool(tg_parallel_for pool) { tg_pool = pool; }
extern "C" int32_t tg_set_isa(const char *name) {
    for (const tg_set &set : SETS)
        if (!strcmp(set.name, name) && set.there()) return chosen.store(&set, std::memory_order_release), TG_OK;
    return TG_BAD_ARGUMENT;
}

namespace {

// Denormal numbers slow arithmetic up to 27 times: in here they are zero, and the thread's own mode is put back.
struct FlushDenormals {
#if defined(__x86_64__)
    const unsigned before = _mm_getcsr();
    FlushDenormals() { _mm_setcsr(before | 0x8040); }
    ~FlushDenormals() { _mm_setcsr(before); }
#endif
};

const tg_unit &unit(const tg_problem &p) { return *tg_unit_in_use(p.dtype); }
int64_t element(const tg_problem &p) { return p.dtype == TG_FLOAT64 ? 8 : 4; }
int64_t weight_bytes(const tg_problem &p) { return p.dtype == TG_BFLOAT16 ? 2 : element(p); }
constexpr int64_t LINE = 64;
int64_t aligned(int64_t bytes) { return (bytes + LINE - 1) / LINE * LINE; }

// Memory of a calling thread that is kept from call to call, up to a size.
class Arena {
  public:
    ~Arena() { free(block); }
    char *get(int64_t bytes) {
        if (bytes <= size) return block;
        free(block);
        block = (char *)aligned_alloc(LINE, size_t(aligned(bytes)));
        size = block ? aligned(bytes) : 0;
        return block;
    }
    void trim() {
        if (size > KEPT) free(block), block = nullptr, size = 0;
    }

  private:
    static constexpr int64_t KEPT = int64_t(256) << 20;
    char *block = nullptr;
    int64_t size = 0;
};
thread_local Arena plans, work;

int64_t length_of(const tg_problem &p, int64_t b) { return p.lengths ? p.lengths[b] : p.steps; }

// Bytes of recurrent weights from which on the threads share them out, rather than the sequences: those that one thread would read at each step
// are then so many times its cache that reading them takes longer than waiting for each other after each step.
constexpr int64_t LARGE = 12 << 20;
// With fewer sequences for each thread, all of its work would be reading weights.
constexpr int64_t FEW_ROWS = 6;
// Work of a few microseconds is not worth waking threads for.
constexpr double FEW_OPERATIONS = 2e5;

// How a call is shared out: `groups` of sequences in each direction, which go their own ways, of `parts` of the hidden units each.
struct Shares {
    int64_t groups, parts;
};
int64_t between(int64_t least, int64_t x, int64_t most) { return x > most ? most : x < least ? least : x; }
Shares shares_of(const tg_problem &p) {
    const double operations = 8.0 * double(p.hidden) * double(p.inputs + p.hidden) * double(p.batch) * double(p.steps);
    const int64_t each = operations * double(p.directions) < FEW_OPERATIONS ? 1 : p.threads / p.directions;
    if (each <= 1) return {1, 1};
    const int64_t panel = unit(p).panel(p.dtype), panels = (p.hidden + panel - 1) / panel;
    const bool large = 4 * p.hidden * p.hidden * weight_bytes(p) > LARGE;
    int64_t groups = large ? 1 : between(1, p.batch / FEW_ROWS, each);
    const int64_t parts = between(1, each / groups, panels);
    if (parts < each / groups) groups = between(1, each / parts, p.batch);
    return {groups, parts};
}

// The slots of a call and their tables, in `plans`. Which sequence goes where depends on the problem and the number of threads alone.
struct Plan {
    tg_slot *slots = nullptr; // of all groups of the first direction, then of the second
    int64_t num_slots = 0, parts = 1;
    tg_barrier *barriers = nullptr;

    bool make(const tg_problem &p) {
        const Shares shares = shares_of(p);
        const int64_t each = shares.groups;
        num_slots = each * p.directions;
        parts = shares.parts;
        const int64_t tables = p.batch * 3 + p.directions * each * 2 * (p.steps + 1) + p.steps + 2;
        char *memory = plans.get(num_slots * int64_t(sizeof(tg_slot) + sizeof(tg_barrier)) + tables * 8);
        if (!memory) return false;
        slots = (tg_slot *)memory;
        barriers = (tg_barrier *)(slots + num_slots);
        for (int64_t i = 0; i < num_slots; ++i) new (barriers + i) tg_barrier();
        int64_t *free_table = (int64_t *)(barriers + num_slots);
        int64_t *order = take(free_table, p.batch);
        sort(p, order, take(free_table, p.steps + 2));
        for (int64_t part = 0; part < each; ++part) {
            tg_slot one = {};
            one.last_unit = p.hidden;
            one.taken = one.parts = 1;
            int64_t *row = take(free_table, count(p.batch, each, part)), *length = take(free_table, count(p.batch, each, part));
            // Sequences of one length stay together; of different lengths each slot gets every n-th, so that all have as much to do.
            const int64_t first = p.lengths ? part : begin(p.batch, each, part), stride = p.lengths ? each : 1;
            for (int64_t i = 0; i < count(p.batch, each, part); ++i) {
                row[i] = order[first + i * stride];
                length[i] = length_of(p, row[i]);
            }
            one.rows = count(p.batch, each, part);
            one.row = row;
            one.length = length;
            one.steps = one.rows ? length[0] : 0;
            int64_t *active = take(free_table, one.steps + 1), *place = take(free_table, one.steps + 1);
            int64_t running = one.rows;
            place[0] = 0;
            for (int64_t step = 0; step < one.steps; ++step) {
                while (length[running - 1] <= step) --running;
                active[step] = running;
                place[step + 1] = place[step] + running;
            }
            active[one.steps] = 0;
            one.active = active;
            one.place = place;
            for (int64_t d = 0; d < p.directions; ++d) {
                one.direction = d;
                slots[d * each + part] = one;
            }
        }
        return true;
    }
    // Every part has the same number of sequences whichever way they are dealt: the first ones one more.
    static int64_t count(int64_t batch, int64_t parts, int64_t part) { return batch / parts + (part < batch % parts); }
    static int64_t begin(int64_t batch, int64_t parts, int64_t part) {
        return batch / parts * part + (part < batch % parts ? part : batch % parts);
    }
    static int64_t *take(int64_t *&table, int64_t n) {
        int64_t *taken = table;
        table += n;
        return taken;
    }
    // By falling length, equal ones in their order (counting sort).
    static void sort(const tg_problem &p, int64_t *order, int64_t *places) {
        for (int64_t i = 0; i < p.steps + 2; ++i) places[i] = 0;
        for (int64_t b = 0; b < p.batch; ++b) ++places[p.steps - length_of(p, b) + 1];
        for (int64_t i = 0; i <= p.steps; ++i) places[i + 1] += places[i];
        for (int64_t b = 0; b < p.batch; ++b) order[places[p.steps - length_of(p, b)]++] = b;
    }

    // Hands out the reserve to the slots.
    void reserve(const tg_problem &p, void *memory) {
        const int64_t stride = unit(p).gate_stride(p.dtype, p.hidden), padded = unit(p).padded(p.dtype, p.hidden), bytes = element(p);
        int64_t place = (LINE - int64_t(uintptr_t(memory) % LINE)) % LINE / bytes;
        for (int64_t i = 0; i < num_slots; ++i) {
            tg_slot &s = slots[i];
            const int64_t rows = s.place[s.steps];
            s.gates = (char *)memory + place * bytes;
            place += rows * stride;
            s.cells = (char *)memory + place * bytes;
            place += rows * padded;
        }
    }
};

// Runs the slots: by themselves, or each by a team of which every part has its own scratch memory.
template <class F> void run(const tg_problem &p, const Plan &plan, const char *scratch, int64_t scratch_bytes, F call) {
    const auto on_slot = [&](int64_t number, int64_t first, int64_t end, tg_barrier *barrier) {
        FlushDenormals flushed;
        tg_slot slot = plan.slots[number];
        const int64_t panel = unit(p).panel(p.dtype), panels = (p.hidden + panel - 1) / panel;
        slot.part = first, slot.taken = end - first, slot.parts = plan.parts;
        slot.first_unit = panels * first / plan.parts * panel;
        slot.last_unit = end == plan.parts ? p.hidden : panels * end / plan.parts * panel;
        slot.scratch = (void *)(scratch + (number * plan.parts + first) * scratch_bytes);
        call(slot, barrier);
    };
    if (plan.parts > 1) return tg_each_team(plan.num_slots, plan.parts, p.threads, plan.barriers, on_slot);
    tg_each(plan.num_slots, p.threads, [&](int64_t i) { on_slot(i, 0, 1, nullptr); });
}

// Of the largest slot; all are about as large.
int64_t scratch_bytes(const tg_problem &p, const Plan &plan, bool training, bool backward) {
    return aligned(unit(p).scratch_size(&p, plan.slots[0].rows, training, backward) * element(p));
}

void pack(const tg_job &job, bool backward) {
    const int64_t parts = unit(*job.p).pack_parts(job.p, backward);
    const bool few = unit(*job.p).packed_size(job.p, backward) < (1 << 15);
    tg_each(parts, few ? 1 : job.p->threads, [&](int64_t part) { unit(*job.p).pack(&job, backward, part); });
}

bool wrong(const tg_problem &p) {
    return p.batch < 0 || p.steps < 0 || p.inputs < 0 || p.hidden < 1 || p.directions < 1 || p.directions > 2 || p.threads < 1 ||
           (p.dtype != TG_FLOAT32 && p.dtype != TG_FLOAT64 && !(p.dtype == TG_BFLOAT16 && in_use().rounded));
}

template <class T> void add(T *to, const T *from, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) to[i] += from[i];
}
void add_all(const tg_problem &p, void *to, const void *from, int64_t size) {
    constexpr int64_t PART = 1 << 16;
    if (!to || !from || to == from) return;
    tg_each((size + PART - 1) / PART, size < PART ? 1 : p.threads, [&](int64_t part) {
        const int64_t begin = part * PART, end = begin + PART < size ? begin + PART : size;
        if (p.dtype == TG_FLOAT64) add((double *)to, (const double *)from, begin, end);
        else add((float *)to, (const float *)from, begin, end);
    });
}

int64_t input_rows(const tg_problem &p) {
    if (!p.packed) return p.batch * p.steps;
    int64_t rows = 0;
    for (int64_t b = 0; b < p.batch; ++b) rows += length_of(p, b);
    return rows;
}

} // namespace

extern "C" int64_t tg_peak_loop(int64_t rounds, int64_t threads) {
    std::atomic<int64_t> operations{0};
    tg_each(threads, threads, [&](int64_t) { operations += in_use().plain->peak(rounds); });
    return operations;
}

extern "C" int64_t tg_reserve_size(const tg_problem *problem) {
    const tg_problem &p = *problem;
    const int64_t row = unit(p).gate_stride(p.dtype, p.hidden) + unit(p).padded(p.dtype, p.hidden);
    return p.directions * p.batch * p.steps * row + LINE / element(p);
}

extern "C" int32_t tg_forward(const tg_problem *problem, const tg_weights *weights, const void *x, const void *h0, const void *c0, void *y,
                              void *h_n, void *c_n, void *reserve) {
    const tg_problem &p = *problem;
    if (wrong(p)) return TG_BAD_ARGUMENT;
    Plan plan;
    if (!plan.make(p)) return TG_OUT_OF_MEMORY;
    if (reserve) plan.reserve(p, reserve);
    const int64_t packed = aligned(p.directions * unit(p).packed_size(&p, false) * element(p));
    const int64_t scratch = scratch_bytes(p, plan, reserve != nullptr, false);
    char *memory = work.get(packed + plan.num_slots * plan.parts * scratch);
    if (!memory) return TG_OUT_OF_MEMORY;
    const tg_job job = {&p, weights, x, h0, c0, nullptr, nullptr, nullptr, y, h_n, c_n, nullptr, nullptr, memory};
    pack(job, false);
    run(p, plan, memory + packed, scratch, [&](const tg_slot &slot, tg_barrier *barrier) { unit(p).forward(&job, &slot, barrier); });
    work.trim();
    return TG_OK;
}

extern "C" int32_t tg_backward(const tg_problem *problem, const tg_weights *weights, const void *x, const void *h0, const void *c0,
                               const void *y, void *reserve, const void *dy, const void *dh_n, const void *dc_n, void *dx, void *dh0,
                               void *dc0, const tg_gradients *gradients) {
    const tg_problem &p = *problem;
    if (wrong(p)) return TG_BAD_ARGUMENT;
    Plan plan;
    if (!plan.make(p)) return TG_OUT_OF_MEMORY;
    plan.reserve(p, reserve);
    const int64_t each = plan.num_slots / p.directions, size = element(p), rows_x = dx ? input_rows(p) * p.inputs : 0;
    const int64_t of_ih = 4 * p.hidden * p.inputs, of_hh = 4 * p.hidden * p.hidden, of_b = 4 * p.hidden;
    const int64_t packed = aligned(p.directions * unit(p).packed_size(&p, true) * size), scratch = scratch_bytes(p, plan, true, true);
    char *memory = nullptr;
    for (int pass = 0; pass < 2; ++pass) { // first the size, then the places
        int64_t place = packed + plan.num_slots * plan.parts * scratch;
        const auto part = [&](bool wanted, void *given, int64_t elements) -> void * {
            if (!wanted || given) return given;
            void *here = memory ? memory + place : nullptr;
            place += aligned(elements * size);
            return here;
        };
        void *other_dx = part(dx && p.directions == 2, nullptr, rows_x);
        for (int64_t i = 0; i < plan.num_slots; ++i) {
            tg_slot &s = plan.slots[i];
            const tg_gradients &g = gradients[s.direction];
            const bool first = i % each == 0; // writes where the sum goes; the others are added to it
            s.dx = s.direction ? other_dx : dx;
            s.dw_ih = part(g.w_ih, first ? g.w_ih : nullptr, of_ih);
            s.dw_hh = part(g.w_hh, first ? g.w_hh : nullptr, of_hh);
            s.db = part(g.b, first ? g.b : nullptr, of_b);
        }
        if (!memory && !(memory = work.get(place))) return TG_OUT_OF_MEMORY;
    }
    const tg_job job = {&p, weights, x, h0, c0, dy, dh_n, dc_n, (void *)y, nullptr, nullptr, dh0, dc0, memory};
    pack(job, true);
    run(p, plan, memory + packed, scratch, [&](const tg_slot &slot, tg_barrier *barrier) { unit(p).backward(&job, &slot, barrier); });
    for (int64_t i = 0; i < plan.num_slots; ++i) {
        const tg_slot &s = plan.slots[i];
        const tg_gradients &g = gradients[s.direction];
        add_all(p, g.w_ih, s.dw_ih, of_ih);
        add_all(p, g.w_hh, s.dw_hh, of_hh);
        add_all(p, g.b, s.db, of_b);
    }
    if (dx && p.directions == 2) add_all(p, dx, plan.slots[each].dx, rows_x);
    work.trim();
    return TG_OK;
}
