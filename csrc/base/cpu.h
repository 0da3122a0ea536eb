/* The instructions that the processor and the operating system let a kernel use. */
#ifndef MV_BASE_CPU_H
#define MV_BASE_CPU_H

/* Each bit promises all the instructions named, and that the system saves their registers, once it
 * permits their use. */
enum {
  MV_CPU_AVX2 = 1,    /* AVX2 and F16C */
  MV_CPU_AVXVNNI = 2, /* AVX-VNNI besides: the byte dot product on 256-bit registers */
  MV_CPU_AVX512 = 4,  /* AVX-512 F, BW, VL and VNNI besides AVX2 */
  MV_CPU_NEON = 8,
  MV_CPU_DOTPROD = 16, /* the Armv8.2 byte dot product besides NEON */
  MV_CPU_AMX = 32      /* AMX tiles of bytes besides AVX-512, to be permitted */
};

/* The bits above that hold here. Asks the processor each time; the caller keeps the answer. */
unsigned mv_cpu_features(void);

/* Whether the system permits the process to use the features, which hold here. Linux gives the
 * registers of AMX to those alone that ask for them: every thread's signal stack must then have
 * room for 8 KB more, and the system refuses one that has not. */
int mv_cpu_permit(unsigned features);

#endif
