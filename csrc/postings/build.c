/* Making of inverted lists from codes, in as little memory as the caller chooses:
 *
 *   1. count the documents of every list (mv_lists_count)
 *   2. for one range of lists at a time, collect their documents (mv_lists_collect)
 *   3. pack the range block by block (mv_lists_pack) */
#include <string.h>

#include "../base/alloc.h"
#include "../base/bits.h"
#include "../base/varint.h"
#include "../kernels/centroid_code.h"
#include "lists.h"

/* For each of n lists the last document seen with its code, plus 1, at first 0: documents ascend,
 * so that a (document, code) pair is new unless the document is that one. */
static uint32_t *last_seen(size_t n) {
  uint32_t *last = mv_alloc(n, sizeof(uint32_t));
  if (last != NULL) memset(last, 0, n * sizeof(uint32_t));
  return last;
}

static int is_new(uint32_t *last, size_t code, uint32_t document) {
  if (last[code] == document + 1) return 0;
  last[code] = document + 1;
  return 1;
}

/* Whether `size` bytes are the codes of documents whose first tokens are `starts`. */
static int are_codes_of(size_t size, size_t code_bytes, const uint32_t *starts,
                        uint32_t n_documents) {
  if (starts[0] != 0 || size != starts[n_documents] * code_bytes) return 0;
  for (uint32_t i = 0; i < n_documents; i++) {
    if (starts[i] > starts[i + 1]) return 0;
  }
  return 1;
}

mv_status mv_lists_count(const uint8_t *codes, size_t codes_size, size_t code_bytes,
                         const uint32_t *starts, uint32_t n_documents, uint32_t n_lists,
                         uint32_t *counts) {
  if (!are_codes_of(codes_size, code_bytes, starts, n_documents)) return MV_ERROR_CORRUPT;
  uint32_t *last = last_seen(n_lists);
  if (last == NULL) return MV_ERROR_MEMORY;
  mv_status status = MV_OK;
  memset(counts, 0, (size_t)n_lists * sizeof(uint32_t));
  for (uint32_t i = 0; i < n_documents && status == MV_OK; i++) {
    for (size_t t = starts[i]; t < starts[i + 1]; t++) {
      const size_t code = mv_code_read(codes, t, code_bytes);
      if (code >= n_lists) {
        status = MV_ERROR_CORRUPT;
        break;
      }
      counts[code] += (uint32_t)is_new(last, code, i);
    }
  }
  mv_free(last);
  return status;
}

mv_status mv_lists_collect(const uint8_t *codes, size_t codes_size, size_t code_bytes,
                           const uint32_t *starts, uint32_t n_documents, uint32_t first,
                           uint32_t last, const uint32_t *counts, uint32_t *documents,
                           size_t room) {
  if (!are_codes_of(codes_size, code_bytes, starts, n_documents)) return MV_ERROR_CORRUPT;
  const uint32_t n_lists = last - first;
  uint32_t *seen = last_seen(n_lists);
  size_t *ends = mv_alloc(n_lists, sizeof(size_t)), total = 0;
  mv_status status = seen != NULL && ends != NULL ? MV_OK : MV_ERROR_MEMORY;
  for (uint32_t c = 0; status == MV_OK && c < n_lists; c++) {
    ends[c] = total;
    total += counts[first + c];
  }
  if (total > room) status = MV_ERROR_ARGUMENT;
  for (uint32_t i = 0; status == MV_OK && i < n_documents; i++) {
    for (size_t t = starts[i]; t < starts[i + 1]; t++) {
      const size_t code = mv_code_read(codes, t, code_bytes) - first; /* wraps below first */
      if (code < n_lists && is_new(seen, code, i)) documents[ends[code]++] = i;
    }
  }
  mv_free(seen);
  mv_free(ends);
  return status;
}

static size_t write_body(uint8_t *out, const uint32_t *documents, uint32_t n) {
  uint8_t *at = out;
  uint32_t next = 0; /* one behind the last document */
  for (uint32_t first = 0; first < n; first += MV_LISTS_RUN) {
    uint32_t gaps[MV_LISTS_RUN], all = 0;
    uint32_t count = n - first < MV_LISTS_RUN ? n - first : MV_LISTS_RUN;
    for (uint32_t i = 0; i < count; i++) {
      gaps[i] = documents[first + i] - next;
      next = documents[first + i] + 1;
      all |= gaps[i];
    }
    unsigned width = mv_bit_width(all);
    size_t bytes = mv_bits_bytes(count, width);
    *at++ = (uint8_t)width;
    memset(at, 0, bytes);
    mv_bits_write(at, gaps, count, width);
    at += bytes;
  }
  return (size_t)(at - out);
}

size_t mv_lists_bound(const uint32_t *counts, uint32_t n_lists) {
  size_t postings = 0;
  for (uint32_t c = 0; c < n_lists; c++) postings += counts[c];
  /* Two varints of at most five bytes and a width byte a list, one more for each full run, four
   * bytes a gap. */
  return (size_t)n_lists * 11 + postings / MV_LISTS_RUN + postings * 4;
}

static uint32_t lists_in_block(uint32_t n_lists, uint32_t first) {
  return n_lists - first < MV_LISTS_BLOCK ? n_lists - first : MV_LISTS_BLOCK;
}

static size_t largest_block(const uint32_t *counts, uint32_t n_lists) {
  size_t largest = 0;
  for (uint32_t first = 0; first < n_lists; first += MV_LISTS_BLOCK) {
    size_t bound = mv_lists_bound(counts + first, lists_in_block(n_lists, first));
    largest = bound > largest ? bound : largest;
  }
  return largest;
}

mv_status mv_lists_pack(const uint32_t *counts, const uint32_t *documents, uint32_t n_lists,
                        uint8_t *out, uint32_t *block_sizes, size_t *size) {
  uint8_t *bodies = mv_alloc(largest_block(counts, n_lists), 1);
  if (bodies == NULL) return MV_ERROR_MEMORY;
  uint8_t *at = out;
  for (uint32_t first = 0; first < n_lists; first += MV_LISTS_BLOCK) {
    uint32_t n = lists_in_block(n_lists, first);
    uint8_t *begin = at;
    size_t bodies_size = 0;
    for (uint32_t c = first; c < first + n; c++) {
      size_t body = write_body(bodies + bodies_size, documents, counts[c]);
      at = mv_varint_write(at, counts[c]);
      at = mv_varint_write(at, (uint32_t)body);
      documents += counts[c];
      bodies_size += body;
    }
    memcpy(at, bodies, bodies_size);
    at += bodies_size;
    block_sizes[first / MV_LISTS_BLOCK] = (uint32_t)(at - begin);
  }
  mv_free(bodies);
  *size = (size_t)(at - out);
  return MV_OK;
}
