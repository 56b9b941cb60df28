// The quantile function of the normal distribution: z with P(Z < z) = p, for p in (0, 1/2].
// M. J. Wichura, "Algorithm AS 241: The percentage points of the normal distribution", Applied Statistics 37, 1988:
// PPND7 (about 1e-7 relative) for float, PPND16 (about 1e-16) for double. Static, for files of several ISAs.
#pragma once

namespace kcore {

// p >= 2^-33, what 31 random bits give: AS 241's third region (p < e^-25) is out of reach. No branch, so it vectorizes.
static inline float lower_normal_quantile(float p) {
  const float q = p - 0.5f;
  const float r = 0.180625f - q * q;
  const float center = q * (((59.10937472f * r + 159.29113202f) * r + 50.434271938f) * r + 3.3871327179f) /
                       (((67.187563600f * r + 78.757757664f) * r + 17.895169469f) * r + 1.0f);
  const float s = __builtin_sqrtf(-__builtin_logf(p)) - 1.6f;
  const float tail = -(((0.17023821103f * s + 1.3067284816f) * s + 2.7568153900f) * s + 1.4234372777f) /
                     ((0.12021132975f * s + 0.73700164250f) * s + 1.0f);
  return q >= -0.425f ? center : tail;
}

static inline double lower_normal_quantile(double p) {
  const double q = p - 0.5;
  if (q >= -0.425) {
    const double r = 0.180625 - q * q;
    return q *
           (((((((2509.0809287301226727 * r + 33430.575583588128105) * r + 67265.770927008700853) * r +
                45921.953931549871457) *
                   r +
               13731.693765509461125) *
                  r +
              1971.5909503065514427) *
                 r +
             133.14166789178437745) *
                r +
            3.3871328727963666080) /
           (((((((5226.4952788528545610 * r + 28729.085735721942674) * r + 39307.895800092710610) * r +
                21213.794301586595867) *
                   r +
               5394.1960214247511077) *
                  r +
              687.18700749205790830) *
                 r +
             42.313330701600911252) *
                r +
            1.0);
  }
  double r = __builtin_sqrt(-__builtin_log(p));
  if (r <= 5) {
    r -= 1.6;
    return -(((((((7.74545014278341407640e-4 * r + 2.27238449892691845833e-2) * r + 2.41780725177450611770e-1) * r +
                 1.27045825245236838258) *
                    r +
                3.64784832476320460504) *
                   r +
               5.76949722146069140550) *
                  r +
              4.63033784615654529590) *
                 r +
             1.42343711074968357734) /
           (((((((1.05075007164441684324e-9 * r + 5.47593808499534494600e-4) * r + 1.51986665636164571966e-2) * r +
                1.48103976427480074590e-1) *
                   r +
               6.89767334985100004550e-1) *
                  r +
              1.67638483018380384940) *
                 r +
             2.05319162663775882187) *
                r +
            1.0);
  }
  r -= 5;
  return -(((((((2.01033439929228813265e-7 * r + 2.71155556874348757815e-5) * r + 1.24266094738807843860e-3) * r +
               2.65321895265761230930e-2) *
                  r +
              2.96560571828504891230e-1) *
                 r +
             1.78482653991729133580) *
                r +
            5.46378491116411436990) *
               r +
           6.65790464350110377720) /
         (((((((2.04426310338993978564e-15 * r + 1.42151175831644588870e-7) * r + 1.84631831751005468180e-5) * r +
              7.86869131145613259100e-4) *
                 r +
             1.48753612908506148525e-2) *
                r +
            1.36929880922735805310e-1) *
               r +
           5.99832206555887937690e-1) *
              r +
          1.0);
}

// P(Z < -2): draws between it and 1/2 give |z| <= 2.
inline constexpr double kLowerTail2 = 0.022750131948179209;

}  // namespace kcore
