// Vectors of the width that this unit is compiled for, and the few functions of them that an LSTM needs.
//
// The compiler's own vector types serve all instruction sets. Everything is in a namespace of the instruction set, and no inline function
// of the standard library is used: the linker could otherwise keep a copy that this processor cannot run.
#pragma once

#include <stdint.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define INLINE inline __attribute__((always_inline))

namespace TG_ISA {

constexpr int BYTES = TG_BYTES;

template <class T> struct VecOf;
template <> struct VecOf<float> {
    typedef float type __attribute__((vector_size(BYTES)));
    typedef float loose __attribute__((vector_size(BYTES), aligned(4), may_alias));
    typedef int32_t bits __attribute__((vector_size(BYTES)));
};
template <> struct VecOf<double> {
    typedef double type __attribute__((vector_size(BYTES)));
    typedef double loose __attribute__((vector_size(BYTES), aligned(8), may_alias));
    typedef int64_t bits __attribute__((vector_size(BYTES)));
};
// Two bfloat16 side by side, as they are multiplied with two others and both products added to one float.
struct Pair {
    uint16_t first, second;
};
template <> struct VecOf<Pair> {
    typedef int32_t type __attribute__((vector_size(BYTES)));
    typedef int32_t loose __attribute__((vector_size(BYTES), aligned(4), may_alias));
};
// What is multiplied, factors, and what their products are summed up in: of floats and doubles the same type.
template <class M> struct SumOf {
    typedef M type;
};
template <> struct SumOf<Pair> {
    typedef float type;
};
template <class M> using Sum = typename SumOf<M>::type;
template <class M> constexpr int HELD = 1; // numbers in a factor
template <> inline constexpr int HELD<Pair> = 2;
template <class M> INLINE int64_t factors(int64_t numbers) { return (numbers + HELD<M> - 1) / HELD<M>; }
template <class T> using Vec = typename VecOf<T>::type;
template <class T> constexpr int WIDTH = BYTES / int(sizeof(T));

template <class T> INLINE Vec<T> load(const T *p) { return *(const typename VecOf<T>::loose *)p; }
template <class T> INLINE void store(T *p, Vec<T> v) { *(typename VecOf<T>::loose *)p = v; }
template <class T> INLINE Vec<T> all(T x) { return x - Vec<T>{}; }
INLINE Vec<Pair> all(Pair x) { return int32_t(x.first | uint32_t(x.second) << 16) - Vec<Pair>{}; }
#if defined(__AVX512BF16__)
INLINE Vec<float> plus_products(Vec<float> sum, Vec<Pair> x, Vec<Pair> y) {
    return (Vec<float>)_mm512_dpbf16_ps((__m512)sum, (__m512bh)x, (__m512bh)y);
}
#endif
template <class M> INLINE void add_product(Vec<Sum<M>> &sum, Vec<M> x, Vec<M> y) {
    if constexpr (HELD<M> == 2) sum = plus_products(sum, x, y);
    else sum += x * y;
}

// The first n lanes of p, n > 0, the others zero; only those are read or written.
template <class T> INLINE Vec<T> load_part(const T *p, int64_t n) {
    if (n >= WIDTH<T>) return load(p);
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) return (Vec<T>)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
    else return (Vec<T>)_mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
#else
    T part[WIDTH<T>] = {};
    for (int64_t i = 0; i < n; ++i) part[i] = p[i];
    return load(part);
#endif
}
template <class T> INLINE void store_part(T *p, Vec<T> v, int64_t n) {
    if (n >= WIDTH<T>) return store(p, v);
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
    else _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), (__m512d)v);
#else
    T part[WIDTH<T>];
    store(part, v);
    for (int64_t i = 0; i < n; ++i) p[i] = part[i];
#endif
}
#if defined(__AVX512BF16__)
// Lane i of both vectors, rounded to the nearest, as one pair.
INLINE Vec<Pair> pair(Vec<float> first, Vec<float> second) {
    typedef int16_t Short __attribute__((vector_size(BYTES)));
    const Short in_turn = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                           8,  24, 9,  25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return (Vec<Pair>)_mm512_permutexvar_epi16((__m512i)in_turn, (__m512i)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first));
}
// n floats, n > 0, one after the other as (n + 1) / 2 pairs; whole vectors are written.
INLINE void narrow(const float *from, int64_t n, Pair *to) {
    for (int64_t i = 0; i < n; i += 2 * WIDTH<float>) {
        const Vec<float> first = load_part(from + i, n - i);
        const Vec<float> second = n - i > WIDTH<float> ? load_part(from + i + WIDTH<float>, n - i - WIDTH<float>) : Vec<float>{};
        store(to + i / 2, (Vec<Pair>)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first));
    }
}
#endif
// The lanes of a and b in turn, from lane `first` on.
template <int... N> struct Lanes {
    template <class T, int first> static INLINE Vec<T> zip(Vec<T> a, Vec<T> b) {
#if defined(__clang__)
        return __builtin_shufflevector(a, b, (first + N / 2 + N % 2 * int(sizeof...(N)))...);
#else
        return __builtin_shuffle(a, b, typename VecOf<T>::bits{(first + N / 2 + N % 2 * int(sizeof...(N)))...});
#endif
    }
};
template <int W> struct AllLanes;
template <> struct AllLanes<2> : Lanes<0, 1> {};
template <> struct AllLanes<4> : Lanes<0, 1, 2, 3> {};
template <> struct AllLanes<8> : Lanes<0, 1, 2, 3, 4, 5, 6, 7> {};
template <> struct AllLanes<16> : Lanes<0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15> {};

// Rows become columns: row i + W / 2 is dealt between row i and the next, log2 W times.
template <class T> INLINE void transpose(Vec<T> (&square)[WIDTH<T>]) {
    constexpr int W = WIDTH<T>;
#pragma GCC unroll 4
    for (int times = 1; times < W; times *= 2) {
        Vec<T> dealt[W];
#pragma GCC unroll 8
        for (int i = 0; i < W / 2; ++i) {
            dealt[2 * i] = AllLanes<W>::template zip<T, 0>(square[i], square[i + W / 2]);
            dealt[2 * i + 1] = AllLanes<W>::template zip<T, W / 2>(square[i], square[i + W / 2]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) square[i] = dealt[i];
    }
}

// Lanes from n on set to zero, whatever is in them.
template <class T> INLINE Vec<T> keep(Vec<T> v, int64_t n) {
    T part[WIDTH<T>];
    store(part, v);
    return load_part(part, n);
}

// 1 / d for d from 1 to 2e38, to one unit in the last place.
INLINE Vec<float> inverse(Vec<float> d) {
#if defined(__AVX512F__)
    Vec<float> r = (Vec<float>)_mm512_rcp14_ps((__m512)d);
    return r + r * (1.0f - d * r);
#else
    return 1.0f / d;
#endif
}

// x between -most and most; NaN stays NaN.
INLINE Vec<float> within(Vec<float> x, float most) {
#if defined(__AVX512F__)
    return (Vec<float>)_mm512_max_ps((__m512)all(-most), _mm512_min_ps((__m512)all(most), (__m512)x)); // of NaN they return the second
#elif defined(__AVX2__)
    return (Vec<float>)_mm256_max_ps((__m256)all(-most), _mm256_min_ps((__m256)all(most), (__m256)x));
#else
    x = x > most ? all(most) : x;
    return x < -most ? all(-most) : x;
#endif
}

// 2^(c x) = scale (1 + rest), scale a power of two: c x = n + f, |f| <= 1/2. f comes from one fused operation, so it is exact but for its own
// rounding (without such operations, as in the baseline, to 6e-8 of c x, where a sigmoid or tanh is nearly flat). rest = 2^f - 1 by a
// polynomial that fits it to 4e-9. For |c x| up to 126; NaN stays NaN.
INLINE void power_of_two(Vec<float> x, float c, Vec<float> &scale, Vec<float> &rest) {
    typedef typename VecOf<float>::bits Bits;
    const float shift = 12582912.0f; // 1.5 * 2^23: adding it rounds to an integer that stands in the low bits
    const Vec<float> t = x * c + shift;
    const Vec<float> f = x * c - (t - shift);
    Vec<float> p = f * 1.546973630e-04f + 1.339086606e-03f;
    p = p * f + 9.618030769e-03f;
    p = p * f + 5.550357107e-02f;
    p = p * f + 2.402265108e-01f;
    p = p * f + 6.931471880e-01f;
    rest = p * f;
    scale = (Vec<float>)(((Bits)t << 23) + 0x3f800000);
}

INLINE Vec<float> sigmoid(Vec<float> x) {
    Vec<float> scale, rest;
    power_of_two(within(x, 87.0f), -1.44269504f, scale, rest);
    return inverse(scale * rest + (scale + 1.0f));
}

// By 2^2cx - 1, which keeps the relative accuracy of small x.
INLINE Vec<float> tanh(Vec<float> x) {
    Vec<float> scale, rest;
    power_of_two(within(x, 9.02f), 2.88539008f, scale, rest);
    const Vec<float> less_one = scale * rest + (scale - 1.0f);
    return less_one * inverse(less_one + 2.0f);
}

INLINE Vec<double> sigmoid(Vec<double> x) {
    for (int i = 0; i < WIDTH<double>; ++i) x[i] = 1.0 / (1.0 + __builtin_exp(-x[i]));
    return x;
}
INLINE Vec<double> tanh(Vec<double> x) {
    for (int i = 0; i < WIDTH<double>; ++i) x[i] = __builtin_tanh(x[i]);
    return x;
}

} // namespace TG_ISA
