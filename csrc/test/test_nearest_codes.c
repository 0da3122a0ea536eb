/* The centroids nearest to stored vectors, after others were added to those they were encoded
 * with. */
#include <math.h>

#include "../kernels/centroid_code.h"
#include "check.h"
#include "collection.h"

static uint64_t seed = 31;

static double dot_with(const model *used, uint32_t centroid, const int8_t *point) {
  const size_t padded = mv_padded_dim(used->spec.dim);
  double sum = 0;
  for (size_t d = 0; d < padded; d++) sum += (used->rows[centroid * padded + d] - 128) * point[d];
  return sum;
}

/* The codec with the first n centroids alone, as before the others were added. */
static mv_codec *codec_before(const model *used, uint32_t n) {
  mv_codec_spec spec = used->spec;
  uint32_t *starts = room((size_t)spec.n_groups + 1, sizeof *starts);
  uint32_t *members = room(n, sizeof *members), kept = 0;
  for (uint32_t g = 0; g < spec.n_groups; g++) {
    starts[g] = kept;
    for (uint32_t at = used->group_starts[g]; at < used->group_starts[g + 1]; at++) {
      if (used->members[at] < n) members[kept++] = used->members[at];
    }
  }
  starts[spec.n_groups] = kept;
  spec.n_centroids = n;
  spec.group_starts = starts;
  spec.members = members;
  mv_codec *codec;
  MUST(codec_of(&spec, &codec) == MV_OK);
  free(starts);
  free(members);
  return codec;
}

enum { STORED = 400, TOKEN_ROOM = 200 };

static const uint32_t stored_lengths[] = {1, 150, STORED - 151};

/* Documents that were stored when there were a fifth of the centroids. */
typedef struct stored_before {
  uint8_t codes[3 * STORED], records[STORED * TOKEN_ROOM];
  size_t code_bytes, codes_size, records_size;
  int8_t *points; /* of the decoded vectors */
} stored_before;

static void store_before(stored_before *out, const model *used, const float *vectors) {
  const size_t dim = used->spec.dim, bytes = mv_token_bytes(dim, used->spec.bits);
  const uint32_t n_before = used->spec.n_centroids / 5;
  const size_t width = mv_code_bytes(n_before);
  mv_codec *codec = codec_before(used, n_before);
  float *decoded = room(STORED * dim, sizeof *decoded);
  double sum;
  MUST(bytes <= TOKEN_ROOM);
  MUST(mv_encode(codec, vectors, STORED, dim, stored_lengths, 3, out->codes, out->records, &sum) ==
       MV_OK);
  for (size_t i = 0, at = 0; i < 3; at += stored_lengths[i++]) {
    const size_t n = stored_lengths[i];
    MUST(mv_decode(codec, out->codes + at * width, n * width, width, out->records + at * bytes,
                   n * bytes, n, decoded + at * dim) == MV_OK);
  }
  out->code_bytes = width;
  out->codes_size = STORED * width;
  out->records_size = STORED * bytes;
  out->points = room(STORED, mv_padded_dim(dim));
  MUST(mv_points(decoded, STORED, dim, ROTATION_SEED, out->points) == MV_OK);
  free(decoded);
  mv_codec_free(codec);
}

/* None is farther than before, and where all groups are near the nearest is found, but for what
 * rounding a point moves. */
static void check_nearest(const model *used, const stored_before *stored, const uint8_t *nearest,
                          int all_near) {
  const uint32_t n = used->spec.n_centroids;
  size_t moved = 0;
  for (size_t i = 0; i < STORED; i++) {
    const int8_t *point = stored->points + i * mv_padded_dim(used->spec.dim);
    const uint32_t before = (uint32_t)mv_code_read(stored->codes, i, stored->code_bytes);
    const uint32_t now = (uint32_t)mv_code_read(nearest, i, mv_code_bytes(n));
    CHECK(now < n, "token %zu: %u", i, now);
    const double score = dot_with(used, now, point), tolerance = 0.02 * fabs(score) + 50;
    CHECK(score > dot_with(used, before, point) - tolerance, "token %zu is farther", i);
    moved += now != before;
    for (uint32_t c = 0; all_near && c < n; c++)
      CHECK(dot_with(used, c, point) < score + tolerance, "token %zu: %u is nearer", i, c);
  }
  CHECK(moved > STORED / 8, "%zu moved", moved);
}

static void case_nearest(model_shape shape, int all_near) {
  model used;
  stored_before s;
  mv_near_groups *near;
  uint8_t nearest[3 * STORED];
  float *vectors = draw_topics(&seed, STORED, shape.dim, 9, 0.5);
  model_train(&used, shape, vectors, STORED);
  store_before(&s, &used, vectors);
  MUST(mv_near_groups_new(used.codec, &near) == MV_OK);
  CHECK(mv_nearest_codes(used.codec, near, s.codes, s.codes_size, s.code_bytes, s.records,
                         s.records_size, stored_lengths, 3, nearest) == MV_OK,
        "dim %u", shape.dim);
  check_nearest(&used, &s, nearest, all_near);
  CHECK(mv_nearest_codes(used.codec, near, s.codes, s.codes_size - 1, s.code_bytes, s.records,
                         s.records_size, stored_lengths, 3, nearest) == MV_ERROR_CORRUPT,
        "codes of another size");
  CHECK(mv_nearest_codes(used.codec, near, s.codes, s.codes_size, s.code_bytes, s.records,
                         s.records_size - 1, stored_lengths, 3, nearest) == MV_ERROR_CORRUPT,
        "records of another size");
  if (s.code_bytes == mv_code_bytes(shape.n_centroids)) {
    mv_code_write(s.codes, 7, s.code_bytes, shape.n_centroids);
    CHECK(mv_nearest_codes(used.codec, near, s.codes, s.codes_size, s.code_bytes, s.records,
                           s.records_size, stored_lengths, 3, nearest) == MV_ERROR_CORRUPT,
          "a code beyond all");
  }
  mv_near_groups_free(near);
  model_free(&used);
  free(vectors);
  free(s.points);
}

static void test_nearest_codes(void) {
  for (uint32_t bits = 1; bits <= 8; bits *= 2) {
    case_nearest((model_shape){48, bits, 60, 3}, 1);
    case_nearest((model_shape){100, bits, 200, 4}, 1);
    case_nearest((model_shape){64, bits, 300, 40}, 0);
  }
  case_nearest((model_shape){16, 2, 70000, 20}, 0);
}

static void test_greatest_codes(void) {
  static const uint32_t lengths[] = {2, 1, 3};
  uint8_t codes[6 * 3];
  uint32_t greatest[3];
  static const uint32_t numbers[] = {7, 5, 70000, 0, 65536, 65535};
  for (size_t i = 0; i < 6; i++) mv_code_write(codes, i, 3, numbers[i]);
  CHECK(mv_greatest_codes(codes, sizeof codes, 3, lengths, 3, greatest) == MV_OK, "codes");
  CHECK(greatest[0] == 7 && greatest[1] == 70000 && greatest[2] == 65536, "%u %u %u", greatest[0],
        greatest[1], greatest[2]);
  CHECK(mv_greatest_codes(codes, sizeof codes - 1, 3, lengths, 3, greatest) == MV_ERROR_ARGUMENT,
        "more tokens than codes");
}

int main(void) {
  test_nearest_codes();
  test_greatest_codes();
  return checks_report();
}
