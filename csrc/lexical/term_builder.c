/* Rows of a new index in memory.
 *
 *   1. a table of hashes gives each term a number, in order of arrival
 *   2. a row is counted in its terms' entries, then logged: (number, value) of each of its terms
 *   3. to make blocks, terms are sorted and the log is turned round: a counting sort by term, which
 *      keeps the order of rows
 *
 * A row that fails leaves no posting: it is logged when all of it is counted. */
#include <stdlib.h>
#include <string.h>

#include "term_block.h"
#include "term_output.h"
#include "tokenise.h"

typedef struct word {
  size_t begin; /* of its bytes */
  uint32_t hash;
  uint32_t row;   /* attempt at a row that counted it last, plus 1 */
  uint32_t value; /* there */
  uint32_t file;  /* number of the term under which its postings are filed */
  uint32_t n;     /* postings filed under it */
  uint8_t size;
} word;

struct mv_term_builder {
  int has_lengths;
  mv_bytes names; /* bytes of all terms */
  mv_buffer words, table;
  uint32_t n_words, mask; /* mask: slots of the table less one; a slot is a number plus 1 */
  /* The log. */
  mv_buffer terms, values, ends, lengths; /* ends: entries of the log up to each row's end */
  size_t n_logged;
  uint32_t n_rows;
  /* The open row. */
  uint32_t attempt, length;
  mv_buffer open;
  size_t n_open;
  /* The making of blocks. */
  int is_running;
  uint32_t n_sorted, at;
  mv_buffer sorted, starts, rows, row_values;
  mv_term_output output;
};

enum { LEAST_SLOTS = 1024 };

static word *words_of(const mv_term_builder *b) { return b->words.data; }

mv_status mv_term_builder_new(int has_lengths, mv_term_builder **out) {
  mv_term_builder *b = mv_alloc(1, sizeof *b);
  if (b == NULL) return MV_ERROR_MEMORY;
  memset(b, 0, sizeof *b);
  b->has_lengths = has_lengths;
  b->mask = LEAST_SLOTS - 1;
  if (mv_buffer_reserve(&b->table, LEAST_SLOTS, sizeof(uint32_t)) == NULL) {
    mv_free(b);
    return MV_ERROR_MEMORY;
  }
  memset(b->table.data, 0, LEAST_SLOTS * sizeof(uint32_t));
  *out = b;
  return MV_OK;
}

void mv_term_builder_free(mv_term_builder *b) {
  if (b == NULL) return;
  mv_buffer *all[] = {&b->names.buffer, &b->words,  &b->table,   &b->terms,
                      &b->values,       &b->ends,   &b->lengths, &b->open,
                      &b->sorted,       &b->starts, &b->rows,    &b->row_values};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) mv_buffer_free(all[i]);
  if (b->is_running) mv_output_free(&b->output);
  mv_free(b);
}

/* ---- terms ---- */

static uint32_t hash_of(const uint8_t *term, size_t size) { /* FNV-1a, its bits mixed */
  uint32_t hash = 2166136261U;
  for (size_t i = 0; i < size; i++) hash = (hash ^ term[i]) * 16777619U;
  hash ^= hash >> 16;
  return hash * 0x7feb352dU;
}

static mv_status double_table(mv_term_builder *b) {
  mv_buffer table = {NULL, 0};
  const size_t slots = 2 * ((size_t)b->mask + 1);
  if (slots > (size_t)1 << 31) return MV_ERROR_MEMORY;
  uint32_t *to = mv_buffer_reserve(&table, slots, sizeof(uint32_t));
  if (to == NULL) return MV_ERROR_MEMORY;
  memset(to, 0, slots * sizeof(uint32_t));
  b->mask = (uint32_t)slots - 1;
  for (uint32_t i = 0; i < b->n_words; i++) {
    uint32_t slot = words_of(b)[i].hash & b->mask;
    while (to[slot] != 0) slot = (slot + 1) & b->mask;
    to[slot] = i + 1;
  }
  mv_buffer_free(&b->table);
  b->table = table;
  return MV_OK;
}

static mv_status add_word(mv_term_builder *b, const uint8_t *term, size_t size, uint32_t hash) {
  if (mv_buffer_grow(&b->words, (size_t)b->n_words + 1, sizeof(word)) == NULL)
    return MV_ERROR_MEMORY;
  if (mv_buffer_grow(&b->names.buffer, b->names.size + size, 1) == NULL) return MV_ERROR_MEMORY;
  memcpy((uint8_t *)b->names.buffer.data + b->names.size, term, size);
  words_of(b)[b->n_words] =
      (word){.begin = b->names.size, .hash = hash, .file = b->n_words, .size = (uint8_t)size};
  b->names.size += size;
  b->n_words++;
  return MV_OK;
}

/* The number of a term, new or known. REQUIRES: 1..MV_MAX_TERM bytes. */
static mv_status number_of(mv_term_builder *b, const uint8_t *term, size_t size, uint32_t *number) {
  if (b->n_words >= b->mask / 2) {
    const mv_status status = double_table(b);
    if (status != MV_OK) return status;
  }
  uint32_t *table = b->table.data;
  const uint32_t hash = hash_of(term, size);
  uint32_t slot = hash & b->mask;
  for (; table[slot] != 0; slot = (slot + 1) & b->mask) {
    const word *known = &words_of(b)[table[slot] - 1];
    if (known->hash == hash && known->size == size &&
        memcmp((uint8_t *)b->names.buffer.data + known->begin, term, size) == 0) {
      *number = table[slot] - 1;
      return MV_OK;
    }
  }
  const mv_status status = add_word(b, term, size, hash);
  if (status != MV_OK) return status;
  *number = table[slot] = b->n_words;
  --*number;
  return MV_OK;
}

/* ---- rows ---- */

static void begin_row(mv_term_builder *b) {
  b->attempt++;
  b->n_open = 0;
  b->length = 0;
}

/* Counts a value of the open row. *is_new: whether the term was not there. */
static mv_status count(mv_term_builder *b, const uint8_t *term, size_t size, uint32_t value,
                       int *is_new) {
  uint32_t number;
  const mv_status status = number_of(b, term, size, &number);
  if (status != MV_OK) return status;
  word *one = &words_of(b)[number];
  *is_new = one->row != b->attempt;
  if (*is_new) {
    uint32_t *open = mv_buffer_grow(&b->open, b->n_open + 1, sizeof(uint32_t));
    if (open == NULL) return MV_ERROR_MEMORY;
    open[b->n_open++] = number;
    one->row = b->attempt;
    one->value = 0;
  }
  one->value += value;
  b->length++;
  return MV_OK;
}

static uint16_t saturated(uint32_t value) {
  return (uint16_t)(value < UINT16_MAX ? value : UINT16_MAX);
}

static mv_status end_row(mv_term_builder *b) {
  const size_t n = b->n_logged + b->n_open;
  uint32_t *terms = mv_buffer_grow(&b->terms, n + 1, sizeof(uint32_t));
  uint16_t *values = mv_buffer_grow(&b->values, n + 1, sizeof(uint16_t));
  size_t *ends = mv_buffer_grow(&b->ends, (size_t)b->n_rows + 1, sizeof(size_t));
  uint16_t *lengths = mv_buffer_grow(&b->lengths, (size_t)b->n_rows + 1, sizeof(uint16_t));
  if (terms == NULL || values == NULL || ends == NULL || lengths == NULL) return MV_ERROR_MEMORY;
  const uint32_t *open = b->open.data;
  for (size_t i = 0; i < b->n_open; i++) {
    terms[b->n_logged + i] = open[i];
    values[b->n_logged + i] = saturated(words_of(b)[open[i]].value);
  }
  b->n_logged = n;
  ends[b->n_rows] = n;
  lengths[b->n_rows] = saturated(b->length);
  b->n_rows++;
  return MV_OK;
}

static mv_status emit(void *context, const mv_token *token) {
  int is_new;
  return count(context, token->term, token->size, 1, &is_new);
}

mv_status mv_term_builder_texts(mv_term_builder *b, const uint8_t *const *texts,
                                const size_t *sizes, size_t n, size_t *done) {
  *done = 0;
  if (b->is_running || !b->has_lengths) return MV_ERROR_ARGUMENT;
  for (size_t i = 0; i < n; i++) {
    if (b->n_rows >= UINT32_MAX - 1) return MV_ERROR_ARGUMENT;
    begin_row(b);
    mv_status status = texts[i] != NULL ? mv_tokenise(texts[i], sizes[i], emit, b) : MV_OK;
    if (status == MV_OK) status = end_row(b);
    if (status != MV_OK) return status;
    ++*done;
  }
  return MV_OK;
}

mv_status mv_term_builder_weights(mv_term_builder *b, const mv_term_names *names,
                                  const float *weights) {
  if (b->is_running || b->has_lengths || b->n_rows >= UINT32_MAX - 1) return MV_ERROR_ARGUMENT;
  begin_row(b);
  for (size_t i = 0; i < names->n; i++) {
    const size_t size = names->starts[i + 1] - names->starts[i];
    if (size < 1 || size > MV_MAX_TERM) return MV_ERROR_ARGUMENT;
    if (!(weights[i] > 0 && weights[i] <= mv_terms_greatest_weight())) return MV_ERROR_ARGUMENT;
    int is_new;
    const mv_status status =
        count(b, names->bytes + names->starts[i], size, mv_weight_value(weights[i]), &is_new);
    if (status != MV_OK) return status;
    if (!is_new) return MV_ERROR_ARGUMENT;
  }
  return end_row(b);
}

uint32_t mv_term_builder_rows(const mv_term_builder *b) { return b->n_rows; }

uint32_t mv_term_builder_terms(const mv_term_builder *b) { return b->n_words; }

size_t mv_term_builder_bytes(const mv_term_builder *b) {
  /* Of a posting 6 bytes in the log and 6 in its list; of a term its word, two slots of the table
   * at least and four at most, its number in order and the begin of its list. */
  return b->n_logged * 12 + b->n_words * (sizeof(word) + 4 * 4 + 4 + sizeof(size_t)) +
         b->names.size + b->n_rows * (sizeof(size_t) + sizeof(uint16_t));
}

const uint8_t *mv_term_builder_term(const mv_term_builder *b, uint32_t number, size_t *size) {
  const word *one = &words_of(b)[number];
  *size = one->size;
  return (const uint8_t *)b->names.buffer.data + one->begin;
}

void mv_term_builder_lengths(const mv_term_builder *b, uint16_t *lengths) {
  if (b->n_rows > 0) memcpy(lengths, b->lengths.data, b->n_rows * sizeof(uint16_t));
}

mv_status mv_term_builder_rename(mv_term_builder *b, uint32_t first, const mv_term_names *names) {
  if (b->is_running || first > b->n_words || names->n > b->n_words - first)
    return MV_ERROR_ARGUMENT;
  for (size_t i = 0; i < names->n; i++) {
    const size_t size = names->starts[i + 1] - names->starts[i];
    uint32_t file;
    if (size < 1 || size > MV_MAX_TERM) return MV_ERROR_ARGUMENT;
    const mv_status status = number_of(b, names->bytes + names->starts[i], size, &file);
    if (status != MV_OK) return status;
    words_of(b)[first + i].file = file;
  }
  return MV_OK;
}

/* ---- blocks ---- */

typedef struct named {
  const uint8_t *name;
  uint32_t number;
  uint8_t size;
} named;

static int by_name(const void *a, const void *b) {
  const named *x = a, *y = b;
  return mv_term_compare(x->name, x->size, y->name, y->size);
}

/* Sorts the terms that have postings. */
static mv_status sort_terms(mv_term_builder *b) {
  named *sorted = mv_buffer_reserve(&b->sorted, (size_t)b->n_words + 1, sizeof(named));
  if (sorted == NULL) return MV_ERROR_MEMORY;
  b->n_sorted = 0;
  for (uint32_t i = 0; i < b->n_words; i++) {
    const word *one = &words_of(b)[i];
    if (one->n == 0) continue;
    const uint8_t *name = (const uint8_t *)b->names.buffer.data + one->begin;
    sorted[b->n_sorted++] = (named){name, i, one->size};
  }
  qsort(sorted, b->n_sorted, sizeof(named), by_name);
  return MV_OK;
}

/* The list of each term in order: rows and values, from starts[i] on. */
static mv_status turn_round(mv_term_builder *b) {
  const uint32_t *terms = b->terms.data;
  const uint16_t *values = b->values.data;
  const size_t *row_ends = b->ends.data;
  for (uint32_t i = 0; i < b->n_words; i++) words_of(b)[i].n = 0;
  for (size_t i = 0; i < b->n_logged; i++) words_of(b)[words_of(b)[terms[i]].file].n++;
  mv_status status = sort_terms(b);
  if (status != MV_OK) return status;
  size_t *starts = mv_buffer_reserve(&b->starts, (size_t)b->n_words + 1, sizeof(size_t)), sum = 0;
  uint32_t *rows = mv_buffer_reserve(&b->rows, b->n_logged + 1, sizeof(uint32_t));
  uint16_t *row_values = mv_buffer_reserve(&b->row_values, b->n_logged + 1, sizeof(uint16_t));
  if (starts == NULL || rows == NULL || row_values == NULL) return MV_ERROR_MEMORY;
  const named *sorted = b->sorted.data;
  for (uint32_t i = 0; i < b->n_sorted; i++) {
    starts[sorted[i].number] = sum;
    sum += words_of(b)[sorted[i].number].n;
  }
  size_t at = 0;
  for (uint32_t row = 0; row < b->n_rows; row++) {
    for (; at < row_ends[row]; at++) {
      const size_t to = starts[words_of(b)[terms[at]].file]++;
      rows[to] = row;
      row_values[to] = values[at];
    }
  }
  return MV_OK;
}

/* Adds up the values of a row that has several terms under one name; the postings left. */
static size_t join_rows(uint32_t *rows, uint16_t *values, size_t n) {
  size_t kept = 0;
  for (size_t i = 0; i < n; i++) {
    if (kept > 0 && rows[kept - 1] == rows[i]) {
      values[kept - 1] = saturated((uint32_t)values[kept - 1] + values[i]);
    } else {
      rows[kept] = rows[i];
      values[kept++] = values[i];
    }
  }
  return kept;
}

static mv_status put_list(mv_term_builder *b, const named *term) {
  const word *one = &words_of(b)[term->number];
  const size_t first = ((const size_t *)b->starts.data)[term->number] - one->n;
  uint32_t *rows = (uint32_t *)b->rows.data + first;
  uint16_t *values = (uint16_t *)b->row_values.data + first;
  const size_t n = join_rows(rows, values, one->n);
  const mv_status status = mv_output_postings(&b->output, rows, values, n);
  return status != MV_OK ? status : mv_output_term(&b->output, term->name, term->size);
}

mv_status mv_term_builder_run(mv_term_builder *b, size_t least, mv_term_blocks *blocks) {
  mv_status status = MV_OK;
  if (!b->is_running) {
    status = turn_round(b);
    if (status != MV_OK) return status;
    mv_output_init(&b->output, b->has_lengths ? b->lengths.data : NULL, b->n_rows);
    b->is_running = 1;
  }
  mv_output_clear(&b->output);
  const named *sorted = b->sorted.data;
  while (status == MV_OK && b->at < b->n_sorted && mv_output_size(&b->output) < least)
    status = put_list(b, &sorted[b->at++]);
  if (status == MV_OK && b->at == b->n_sorted) status = mv_output_end(&b->output);
  mv_output_take(&b->output, blocks);
  return status;
}
