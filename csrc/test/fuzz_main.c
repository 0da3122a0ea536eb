/* Runs a fuzz target without a fuzzer: on the files named, or on `-n count seed` random inputs. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/random.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LONGEST = 8192 };

static void run_file(const char *name) {
  FILE *file = fopen(name, "rb");
  if (file == NULL) {
    perror(name);
    exit(2);
  }
  static uint8_t whole[1 << 20];
  const size_t size = fread(whole, 1, sizeof whole, file);
  fclose(file);
  uint8_t *data = malloc(size + (size == 0));
  if (data == NULL) exit(2);
  memcpy(data, whole, size);
  LLVMFuzzerTestOneInput(data, size);
  free(data);
}

static void run_random(long count, uint64_t seed) {
  for (long i = 0; i < count; i++) {
    uint64_t state = seed + (uint64_t)i;
    const size_t size = (size_t)mv_random_below(&state, LONGEST);
    uint8_t *data = malloc(size + 1);
    if (data == NULL) exit(2);
    for (size_t j = 0; j < size; j++) data[j] = (uint8_t)mv_random_next(&state);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
  }
  printf("%ld random inputs from seed %llu\n", count, (unsigned long long)seed);
}

int main(int argc, char **argv) {
  if (argc == 4 && strcmp(argv[1], "-n") == 0) {
    run_random(atol(argv[2]), strtoull(argv[3], NULL, 10));
    return 0;
  }
  for (int i = 1; i < argc; i++) run_file(argv[i]);
  return 0;
}
