/* The names of all instruction sets, as mv_isa_select takes them. */
#ifndef MV_TEST_ISA_NAMES_H
#define MV_TEST_ISA_NAMES_H

static const char *const isa_names[] = {"scalar", "avx2", "avxvnni", "avx512",
                                        "amx",    "neon", "dotprod"};
enum { N_ISAS = sizeof isa_names / sizeof isa_names[0] };

#endif
