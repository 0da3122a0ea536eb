#include "levels.h"

static const mv_levels all[] = {
    {1, 64, 78.96f, 1, {0.0f}, {1, 127}},
    {2, 64, 41.71f, 3, {-41.0f, 0.0f, 41.0f}, {1, 45, 83, 127}},
    {4,
     64,
     23.05f,
     15,
     {-55.5f, -42.5f, -33.0f, -25.5f, -18.5f, -12.0f, -6.0f, 0.0f, 6.0f, 12.0f, 18.5f, 25.5f, 33.0f,
      42.5f, 55.5f},
     {1, 16, 27, 35, 42, 49, 55, 61, 67, 73, 79, 86, 93, 101, 112, 127}},
    {8, 128, 31.75f, 0, {0.0f}, {0}}, /* 127 units at four standard deviations */
};

const mv_levels *mv_levels_get(unsigned bits) {
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
    if (all[i].bits == bits) return &all[i];
  }
  return NULL;
}
