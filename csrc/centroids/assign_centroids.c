/* Two-level assignment: a point is compared with the centroids of its nearest groups only. For each
 * batch of points:
 *
 *   1. score all group means and keep the best of each point, at most GROUPS_PROBED; of a point
 *      that has a centroid already, take those of the centroid
 *   2. sort the (point, group) pairs by group, so that the kernels' lanes are full
 *   3. compare each group's centroids with its points, block by block: one read of a row each */
#include <string.h>

#include "../base/alloc.h"
#include "../base/bits.h"
#include "../kernels/kernels.h"
#include "centroids.h"
#include "nearest_exhaustive.h"

enum {
  GROUPS_PROBED = MV_LEADING,
  GROUPS_NEAR = 8, /* of many groups, else GROUPS_PROBED */
  MANY_GROUPS = 256,
  BATCH = 16384 /* points; bounds the memory of the lists */
};

typedef struct batch_space {
  int8_t *block;        /* [padded][MV_LANES_MAX] */
  int32_t *group_dots;  /* [n_groups][MV_LANES_MAX] */
  uint32_t *exceeding;  /* [n_groups], bit l: the group may be one of the best of point l */
  uint32_t *probed;     /* [BATCH][GROUPS_PROBED], best first; UINT32_MAX: no group */
  int32_t *probed_dots; /* the same; INT32_MIN */
  uint32_t *list;       /* [BATCH * GROUPS_PROBED], points ordered by group */
  uint32_t *list_start; /* [n_groups + 1] */
  int32_t *best;        /* [BATCH] */
} batch_space;

static size_t groups_of(const mv_centroids *centroids, size_t most) {
  return centroids->n_groups < most ? centroids->n_groups : most;
}

static mv_status space_init(batch_space *space, const mv_centroids *centroids) {
  space->block = mv_alloc(centroids->padded, MV_LANES_MAX);
  space->group_dots = mv_alloc((size_t)centroids->n_groups * MV_LANES_MAX, sizeof(int32_t));
  space->exceeding = mv_alloc(centroids->n_groups, sizeof(uint32_t));
  space->probed = mv_alloc(BATCH * GROUPS_PROBED, sizeof(uint32_t));
  space->probed_dots = mv_alloc(BATCH * GROUPS_PROBED, sizeof(int32_t));
  space->list = mv_alloc(BATCH * GROUPS_PROBED, sizeof(uint32_t));
  space->list_start = mv_alloc((size_t)centroids->n_groups + 1, sizeof(uint32_t));
  space->best = mv_alloc(BATCH, sizeof(int32_t));
  return space->block != NULL && space->group_dots != NULL && space->exceeding != NULL &&
                 space->probed != NULL && space->probed_dots != NULL && space->list != NULL &&
                 space->list_start != NULL && space->best != NULL
             ? MV_OK
             : MV_ERROR_MEMORY;
}

static void space_free(batch_space *space) {
  mv_free(space->block);
  mv_free(space->group_dots);
  mv_free(space->exceeding);
  mv_free(space->probed);
  mv_free(space->probed_dots);
  mv_free(space->list);
  mv_free(space->list_start);
  mv_free(space->best);
}

/* Inserts a group into a list, best first, ties to the smaller number; the last one falls out. */
static void insert(uint32_t *groups, int32_t *dots, size_t wanted, uint32_t group, int32_t dot) {
  size_t at = wanted - 1;
  for (; at > 0 && dots[at - 1] < dot; at--) {
    dots[at] = dots[at - 1];
    groups[at] = groups[at - 1];
  }
  dots[at] = dot;
  groups[at] = group;
}

/* The least score of the groups of a point. Of many groups, one whose mean scores less than three
 * fifths of the best mean hardly ever has the nearest centroid; few are broad, and take little
 * time. */
static int32_t least_of(int32_t best, uint32_t n_groups) {
  return n_groups >= MANY_GROUPS && best > 0 ? best / 5 * 3 : INT32_MIN;
}

/* The best groups of n <= MV_LANES_MAX points, whose dots with all groups are in the space: lists
 * [n][wanted]. Most groups are passed over for all points at once. */
static void best_groups(const batch_space *space, uint32_t n_groups, size_t wanted, size_t n,
                        uint32_t *groups, int32_t *list_dots) {
  const int32_t *dots = space->group_dots;
  int32_t best[MV_LANES_MAX], least[MV_LANES_MAX];
  mv_kernels_get()->leading(dots, n_groups, best, least);
  for (size_t l = 0; l < MV_LANES_MAX; l++) {
    const int32_t bound = least_of(best[l], n_groups);
    if (least[l] > INT32_MIN) least[l]--; /* which the last of the leading ones exceeds */
    least[l] = l >= n ? INT32_MAX : bound > least[l] ? bound : least[l];
  }
  for (size_t i = 0; i < n * wanted; i++) list_dots[i] = INT32_MIN;
  for (size_t i = 0; i < n * wanted; i++) groups[i] = UINT32_MAX;
  mv_kernels_get()->above_bits(dots, n_groups, least, space->exceeding);
  for (uint32_t g = 0; g < n_groups; g++, dots += MV_LANES_MAX) {
    for (uint32_t left = space->exceeding[g]; left != 0; left &= left - 1) {
      const size_t l = mv_lowest_bit(left);
      if (dots[l] <= least[l]) continue; /* the list is full of better ones */
      int32_t *own = list_dots + l * wanted;
      insert(groups + l * wanted, own, wanted, g, dots[l]);
      least[l] = own[wanted - 1] > least[l] ? own[wanted - 1] : least[l];
    }
  }
}

/* What cancels the zero point of rows in a point's dot products. */
static int32_t row_bias(const int8_t *point, size_t padded) {
  int32_t sum = 0;
  for (size_t d = 0; d < padded; d++) sum += point[d];
  return -128 * sum;
}

static void probe_groups(const mv_centroids *centroids, batch_space *space, const int8_t *points,
                         size_t n, size_t wanted) {
  const mv_kernels *kernels = mv_kernels_get();
  const size_t padded = centroids->padded;
  for (size_t first = 0; first < n; first += MV_LANES_MAX) {
    const size_t count = n - first < MV_LANES_MAX ? n - first : MV_LANES_MAX;
    int32_t bias[MV_LANES_MAX] = {0};
    uint32_t which[MV_LANES_MAX];
    for (size_t l = 0; l < count; l++) {
      which[l] = (uint32_t)(first + l);
      bias[l] = row_bias(points + (first + l) * padded, padded);
    }
    kernels->pack(points, which, count, padded, MV_LANES_MAX, space->block);
    kernels->dot8(centroids->group_rows, padded, centroids->n_groups, padded, space->block,
                  MV_LANES_MAX, bias, space->group_dots);
    best_groups(space, centroids->n_groups, wanted, count, space->probed + first * wanted,
                space->probed_dots + first * wanted);
  }
}

/* Counting sort of (point, group) pairs by group. list_start[g + 1]: where the list of group g
 * begins; the number of pairs. */
static size_t list_by_group(const mv_centroids *centroids, batch_space *space, size_t n,
                            size_t wanted) {
  uint32_t *start = space->list_start;
  size_t pairs = 0;
  memset(start, 0, ((size_t)centroids->n_groups + 1) * sizeof(*start));
  for (size_t i = 0; i < n * wanted; i++) {
    if (space->probed[i] == UINT32_MAX) continue;
    start[space->probed[i] + 1]++;
    pairs++;
  }
  for (uint32_t g = 0; g < centroids->n_groups; g++) start[g + 1] += start[g];
  for (size_t i = n * wanted; i-- > 0;) { /* from the back, leaving the lists' begins */
    if (space->probed[i] == UINT32_MAX) continue;
    space->list[--start[space->probed[i] + 1]] = (uint32_t)(i / wanted);
  }
  return pairs;
}

/* The place of the nearest centroid of each point in its groups, `wanted` of each; UINT32_MAX if
 * all of them are empty. */
static void assign_batch(const mv_centroids *centroids, batch_space *space, const int8_t *points,
                         size_t n, size_t wanted, uint32_t *places) {
  const size_t pairs = list_by_group(centroids, space, n, wanted);
  for (size_t i = 0; i < n; i++) {
    space->best[i] = INT32_MIN;
    places[i] = UINT32_MAX;
  }
  for (uint32_t g = 0; g < centroids->n_groups; g++) {
    size_t begin = space->list_start[g + 1];
    size_t end = g + 1 < centroids->n_groups ? space->list_start[g + 2] : pairs;
    const uint32_t first = centroids->group_starts[g];
    const uint32_t n_rows = centroids->group_starts[g + 1] - first;
    const uint8_t *rows = centroids->rows + first * centroids->padded;
    for (size_t at = begin; at < end; at += MV_LANES_MAX) {
      size_t count = end - at < MV_LANES_MAX ? end - at : MV_LANES_MAX;
      const uint32_t *which = space->list + at;
      int32_t best[MV_LANES_MAX];
      uint32_t arg[MV_LANES_MAX];
      for (size_t l = 0; l < count; l++) {
        best[l] = space->best[which[l]];
        arg[l] = places[which[l]];
      }
      mv_nearest_block(rows, first, n_rows, centroids->padded, points, which, count, space->block,
                       best, arg);
      for (size_t l = 0; l < count; l++) {
        space->best[which[l]] = best[l];
        places[which[l]] = arg[l];
      }
    }
  }
}

mv_status mv_centroids_assign(const mv_centroids *centroids, const int8_t *points, size_t n,
                              uint32_t *codes) {
  const size_t wanted = groups_of(centroids, GROUPS_PROBED);
  batch_space space;
  mv_status status = space_init(&space, centroids);
  for (size_t first = 0; status == MV_OK && first < n; first += BATCH) {
    const size_t count = n - first < BATCH ? n - first : BATCH;
    const int8_t *batch = points + first * centroids->padded;
    probe_groups(centroids, &space, batch, count, wanted);
    assign_batch(centroids, &space, batch, count, wanted, codes + first);
  }
  for (size_t i = 0; status == MV_OK && i < n; i++) {
    codes[i] = codes[i] < centroids->n ? centroids->numbers[codes[i]] : 0;
  }
  space_free(&space);
  return status;
}

mv_status mv_near_groups_init(mv_near_groups *near, const mv_centroids *centroids) {
  const size_t padded = centroids->padded;
  batch_space space;
  mv_status status = space_init(&space, centroids);
  int8_t *points = mv_alloc(BATCH, padded);
  near->wanted =
      groups_of(centroids, centroids->n_groups < MANY_GROUPS ? GROUPS_PROBED : GROUPS_NEAR);
  near->groups = mv_alloc(centroids->n * near->wanted, sizeof(uint32_t));
  if (points == NULL || near->groups == NULL) status = MV_ERROR_MEMORY;
  for (size_t first = 0; status == MV_OK && first < centroids->n; first += BATCH) {
    const size_t n = centroids->n - first < BATCH ? centroids->n - first : BATCH;
    const uint8_t *rows = centroids->rows + first * padded;
    for (size_t i = 0; i < n * padded; i++)
      points[i] = (int8_t)(rows[i] > 0 ? rows[i] - 128 : -127);
    probe_groups(centroids, &space, points, n, near->wanted);
    memcpy(near->groups + first * near->wanted, space.probed,
           n * near->wanted * sizeof(*near->groups));
  }
  mv_free(points);
  space_free(&space);
  return status;
}

void mv_near_groups_clear(mv_near_groups *near) { mv_free(near->groups); }

mv_status mv_centroids_reassign(const mv_centroids *centroids, const mv_near_groups *near,
                                const int8_t *points, size_t n, uint32_t *codes) {
  const size_t wanted = near->wanted;
  batch_space space;
  mv_status status = space_init(&space, centroids);
  uint32_t *places = mv_alloc(BATCH, sizeof(uint32_t));
  if (places == NULL) status = MV_ERROR_MEMORY;
  for (size_t first = 0; status == MV_OK && first < n; first += BATCH) {
    const size_t count = n - first < BATCH ? n - first : BATCH;
    for (size_t i = 0; i < count; i++) {
      const uint32_t *groups = near->groups + centroids->places[codes[first + i]] * wanted;
      memcpy(space.probed + i * wanted, groups, wanted * sizeof(*groups));
    }
    assign_batch(centroids, &space, points + first * centroids->padded, count, wanted, places);
    for (size_t i = 0; i < count; i++) {
      if (places[i] < centroids->n) codes[first + i] = centroids->numbers[places[i]];
    }
  }
  mv_free(places);
  space_free(&space);
  return status;
}
